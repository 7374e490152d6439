"""Model names, what they lead to, and the lists that clients are shown."""
