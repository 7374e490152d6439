"""Signing in: the sign-in server's endpoints, the browser's way back, and the flows that users go through."""
