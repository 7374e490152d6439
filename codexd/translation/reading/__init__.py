"""What the APIs share in reading a request."""
