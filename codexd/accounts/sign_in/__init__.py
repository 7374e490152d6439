"""Signing in: the sign-in server's endpoints, the browser's return, and the flows that users go through."""
