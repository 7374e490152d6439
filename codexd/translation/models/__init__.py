"""Model names: the models that they lead to, and the lists that clients are shown."""
