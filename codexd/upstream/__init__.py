"""The only places that speak HTTP to a model provider."""
