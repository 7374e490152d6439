"""Rate limits: what the backend says of them, kept for each account, and asked for where it says nothing."""
