"""What the requests of all client APIs share."""
