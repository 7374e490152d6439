"""Choosing accounts: finding the one that a user names, and deciding which one serves a request."""
