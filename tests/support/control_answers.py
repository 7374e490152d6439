"""What a daemon answers, as codexctl's commands and renderers get it."""

import os

from codexd import __version__

SERVING = {
    "possible": True,
    "state": "ok",
    "account": "work@example.com",
    "reason": None,
    "until": None,
    "advice": None,
    "others": [],
}

LIMITED = SERVING | {
    "possible": False,
    "state": "limited",
    "reason": "work@example.com is limited (usage limit reached)",
    "until": 1_800_007_800.0,
    "advice": "Switch to another account: `codexctl accounts switch home@example.com`.",
    "others": ["home@example.com"],
}

CODEX_STATUS = {
    "path": "/home/me/.codex/config.toml",
    "exists": True,
    "mode": "codexd",
    "base_url": "http://127.0.0.1:8081/v1",
    "address": "http://127.0.0.1:8081",
    "values": [{"name": "model_provider", "value": "codexd"}],
    "signed_in": True,
    "can_reset": True,
    "notes": [],
    "problem": None,
    "takes_effect": True,
    "overridden_by": [],
}

CLAUDE_EDIT = {"name": "ANTHROPIC_BASE_URL", "before": None, "after": "http://127.0.0.1:8081"}

GONE = {"name": "ANTHROPIC_API_KEY", "before": "(secret)", "after": None}

CLAUDE_DONE = {
    "path": "/home/me/.claude/settings.json",
    "mode": "codexd",
    "dry_run": False,
    "changes": [CLAUDE_EDIT, GONE],
    "left": [],
    "backup": "/home/me/.claude/settings.json.before-codexd",
    "notes": ["A note."],
    "proof": None,
    "takes_effect": True,
    "overridden_by": [],
}

CLAUDE_PROOF = {
    "ok": True,
    "message": "gpt-5.5 answered in 1.2 s.",
    "model": "claude-opus-5-5",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "status": 200,
    "duration_ms": 1200,
    "request": "req_1",
}

CODEX_EDIT = {"name": "model_provider", "before": None, "after": "codexd"}

CODEX_TABLE = {"name": "model_providers.codexd", "before": None, "after": "http://127.0.0.1:8081/v1, asks for limits"}

CODEX_DONE = {
    "path": "/home/me/.codex/config.toml",
    "mode": "codexd",
    "dry_run": False,
    "changes": [CODEX_EDIT, CODEX_TABLE],
    "left": [],
    "backup": "/home/me/.codex/config.toml.before-codexd",
    "notes": ["A note."],
    "proof": None,
    "takes_effect": True,
    "overridden_by": [],
}

CODEX_PROOF = {
    "ok": True,
    "message": "gpt-5.5 answered in 1.2 s.",
    "model": "gpt-5.5",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "status": 200,
    "duration_ms": 1200,
    "request": "req_1",
}


def item(name="models.opus", value=("a", "b"), **changes):
    return {
        "name": name,
        "value": list(value) if isinstance(value, tuple) else value,
        "default": ["gpt-5.5"],
        "source": "/home/me/settings.toml",
        "set_in_file": True,
        "fixed": False,
        "type": "names",
        "unit": None,
        "choices": None,
        "environ": ["CODEXD_MODELS_OPUS"],
        "meaning": "Models behind Claude Opus names",
        "secret": False,
        "restart_needed": False,
        "restart_pending": False,
        "warnings": [],
    } | changes


PORT = item(
    "server.port",
    8082,
    default=8081,
    meaning="Port of the HTTP proxy",
    environ=["CODEXD_SERVER_PORT", "PORT"],
    restart_needed=True,
    restart_pending=True,
)

TIMEOUT = item("upstream.idle_timeout", 300.0, default=300.0, source="default", unit="s")

KEY = item("server.api_key", "set", default=None, secret=True, source="environment CODEXD_SERVER_API_KEY", fixed=True)

LIST = {"settings": [item(), PORT, TIMEOUT, KEY], "file": "/home/me/settings.toml", "problem": None}

CHANGE = {"name": "models.opus", "before": ["a"], "after": ["a", "b"], "restart_needed": False}

CHANGED = {"changed": [CHANGE], "file": "/home/me/settings.toml"}

SERVICE_STATUS = {
    "version": __version__,
    "pid": os.getpid(),
    "addresses": ["http://127.0.0.1:8081"],
    "simulated": False,
    "streams_in_flight": 0,
    "serving": SERVING,
}
