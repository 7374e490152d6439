"""What codexd records about its work: log entries, requests and the usage history."""
