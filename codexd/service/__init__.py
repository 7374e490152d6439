"""How the daemon lives with what runs it: passed sockets, notifications, signals, and a restart that loses nothing."""
