"""``codexctl shell``: a prompt with completion, a toolbar, and the log above it."""
