"""The HTTP side: the accept loop, the guard, the hot paths as plain ASGI callables, and Quart-Trio for the rest."""
