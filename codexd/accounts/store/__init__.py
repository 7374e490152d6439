"""The accounts on disk: the list, the login files, and what a start makes of what a crash left."""
