"""Anthropic Messages to and from Responses. Source: anthropic-translation.md sections 1 to 5."""
