"""codexctl: the client of a running codexd. One-shot commands import the standard library only."""
