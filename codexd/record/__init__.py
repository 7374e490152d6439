"""What codexd remembers of its work: log entries, requests and the usage history."""
