"""codexd: Claude Code, OpenAI clients and the Codex CLI on the Codex models of one's own ChatGPT plan."""

__version__ = "0.1.0"
