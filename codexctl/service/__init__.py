"""Running codexd as a service of the user: which files that takes, and how systemd or launchd is told."""
