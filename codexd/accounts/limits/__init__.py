"""Rate limits: what the backend reports about them, kept for each account, and polled when it reports nothing."""
