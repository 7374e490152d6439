"""The accounts on disk: ``accounts.json``, the login files, and what a start makes of what a crash left behind."""
