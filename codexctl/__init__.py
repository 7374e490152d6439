"""codexctl: the client of a running codexd. One-shot commands import only the standard library."""
