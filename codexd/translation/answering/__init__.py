"""What the answers of all client APIs share."""
