"""What can be typed next: for the Tab key of bash, zsh and fish, and for ``codexctl shell``."""
