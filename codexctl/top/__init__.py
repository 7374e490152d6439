"""``codexctl top``: the daemon live on one screen. All but ``screen`` and ``feed`` is pure."""
