"""OpenAI's Responses API, which the backend speaks itself: passed through, except for what the backend rejects."""
