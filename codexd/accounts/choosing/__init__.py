"""Which account: the one that a user means by a name, and the one that serves a request."""
