"""Signing in: the sign-in server's endpoints, and the flows that users go through."""
