"""Rate limits: what the backend says about them, kept for each account, and asked for where it says nothing."""
