"""What the APIs share in making an answer."""
