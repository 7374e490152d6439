"""What codexd remembers of its work: log entries and requests."""
