"""OpenAI Chat Completions to and from Responses."""
