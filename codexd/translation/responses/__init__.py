"""OpenAI's Responses API, which is the backend's own: passed through, but for what the backend demands and refuses."""
