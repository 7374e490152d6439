"""OpenAI Chat Completions to and from Responses. Source: anthropic-translation.md section 6."""
