"""Anthropic Messages to and from Responses."""
