"""The accounts on disk: ``accounts.json``, the login files, and the recovery from a crash."""
