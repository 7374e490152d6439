import pytest
from support.control_answers import (
    CLAUDE_DONE,
    CLAUDE_EDIT,
    CLAUDE_PROOF,
    CODEX_DONE,
    CODEX_PROOF,
    CODEX_STATUS,
    CODEX_TABLE,
    GONE,
)

from codexctl.render.clients import CLAUDE_CODE, CODEX_CLI
from codexctl.render.text import Style

PLAIN = Style(now=0.0)
NARROW = Style(now=0.0, width=80)
MOVED = {"name": "ANTHROPIC_BASE_URL", "before": "https://gateway.example.com", "after": "http://127.0.0.1:8081"}
CLAUDE_STATUS = {
    "path": "/home/me/.claude/settings.json",
    "exists": True,
    "mode": "codexd",
    "base_url": "http://127.0.0.1:8081",
    "address": "http://127.0.0.1:8081",
    "values": [{"name": "ANTHROPIC_BASE_URL", "value": "http://127.0.0.1:8081"}],
    "can_reset": True,
    "notes": [],
    "problem": None,
    "takes_effect": True,
    "overridden_by": [],
    "permission_mode": None,
}


def test_claude_code_a_change_is_shown_as_a_diff():
    text = "\n".join(CLAUDE_CODE.set_up(CLAUDE_DONE | {"changes": [CLAUDE_EDIT, GONE, MOVED]}, PLAIN))
    assert "was changed:" in text
    assert "+  ANTHROPIC_BASE_URL  http://127.0.0.1:8081\n" in text
    assert "-  ANTHROPIC_API_KEY   (secret)\n" in text
    assert (
        "~  ANTHROPIC_BASE_URL  https://gateway.example.com\n                         -> http://127.0.0.1:8081\n"
        in text
    )
    assert "before-codexd" in text
    assert "A note." in text


def test_a_dry_run_speaks_of_what_would_be():
    text = "\n".join(CLAUDE_CODE.set_up(CLAUDE_DONE | {"dry_run": True, "backup": None}, PLAIN))
    assert "would be changed:" in text
    nothing = CLAUDE_DONE | {"dry_run": True, "changes": [], "backup": None}
    assert "nothing would change" in "\n".join(CLAUDE_CODE.set_up(nothing, PLAIN))


def test_claude_code_the_proof_is_the_last_line():
    assert CLAUDE_CODE.proxied(CLAUDE_DONE | {"proof": CLAUDE_PROOF}, PLAIN)[-1] == (
        "It works: gpt-5.5 answered in 1.2 s on work@example.com."
    )
    failed = CLAUDE_PROOF | {"ok": False, "message": "No account is signed in."}
    text = "\n".join(CLAUDE_CODE.proxied(CLAUDE_DONE | {"proof": failed}, PLAIN))
    assert "The request failed." in text
    assert "No account is signed in." in text
    assert "codexctl why req_1" in text


REASON = "CLAUDE_CODE_USE_BEDROCK is set in the environment of this shell, so Claude Code uses Amazon Bedrock."
OVERRIDDEN = {"takes_effect": False, "overridden_by": [REASON]}


@pytest.mark.parametrize(("client", "done"), [(CLAUDE_CODE, CLAUDE_DONE), (CODEX_CLI, CODEX_DONE)])
def test_a_set_up_that_something_else_wins_over_does_not_work(client, done):
    lines = client.proxied(done | {"proof": CLAUDE_PROOF} | OVERRIDDEN, PLAIN)
    assert lines[0] == f"{client.name} does not do what its settings say:"
    text = " ".join(" ".join(lines).split())
    assert REASON in text
    assert "It works" not in text
    assert text.endswith(
        f"codexd itself works (gpt-5.5 answered in 1.2 s on work@example.com), but {client.name_inside} does not use it."
    )


def test_a_status_that_something_else_wins_over_says_so_first():
    lines = CLAUDE_CODE.status(CLAUDE_STATUS | OVERRIDDEN, PLAIN)
    assert lines[0] == "Claude Code does not do what its settings say:"
    assert CODEX_CLI.status(CODEX_STATUS | OVERRIDDEN, PLAIN)[0] == "The Codex CLI does not do what its settings say:"


def test_claude_code_status_says_how_to_go_on():
    assert "works through codexd at http://127.0.0.1:8081" in CLAUDE_CODE.status(CLAUDE_STATUS, PLAIN)[0]
    assert "claude reset" in "\n".join(CLAUDE_CODE.status(CLAUDE_STATUS, PLAIN))
    fresh = CLAUDE_STATUS | {"mode": "anthropic", "base_url": None, "can_reset": False, "values": [], "exists": False}
    text = "\n".join(CLAUDE_CODE.status(fresh, PLAIN))
    assert "uses Anthropic's servers" in text
    assert "claude proxy" in text
    broken = CLAUDE_STATUS | {"mode": None, "problem": "it is broken"}
    assert CLAUDE_CODE.status(broken, PLAIN) == ["Problem: it is broken"]


def test_claude_code_a_reset_names_what_the_user_changed():
    text = "\n".join(CLAUDE_CODE.was_reset(CLAUDE_DONE | {"changes": [], "left": ["ANTHROPIC_BASE_URL"]}, PLAIN))
    assert "You have changed ANTHROPIC_BASE_URL" in text


def test_claude_code_tables_fit_80_columns():
    long = CLAUDE_EDIT | {"name": "ANTHROPIC_DEFAULT_SONNET_MODEL_DESCRIPTION", "before": "x" * 60, "after": "y" * 60}
    listed = CLAUDE_STATUS | {"values": [{"name": long["name"], "value": long["after"]}]}
    for lines in (CLAUDE_CODE.set_up(CLAUDE_DONE | {"changes": [long]}, NARROW), CLAUDE_CODE.status(listed, NARROW)):
        assert any(long["name"] in line for line in lines)
        assert all(len(line) <= 80 or line.startswith("/home") for line in lines)


LONG_NAME = {"name": "modelSettings.claude-gpt-6.1-terra.autoCompactWindow", "before": None, "after": "500000"}


@pytest.mark.parametrize("width", [50, 60, 70, 80])
def test_no_value_is_cut_because_another_name_is_long(width):
    style = Style(now=0.0, width=width)
    shown = CLAUDE_CODE.set_up(CLAUDE_DONE | {"changes": [CLAUDE_EDIT, MOVED, LONG_NAME]}, style)
    text = " ".join(" ".join(shown).split())
    assert "+ ANTHROPIC_BASE_URL = http://127.0.0.1:8081 ~" in text
    assert "~ ANTHROPIC_BASE_URL = https://gateway.example.com -> http://127.0.0.1:8081 +" in text
    assert "…" not in text
    long = {"name": LONG_NAME["name"], "value": "500000"}
    values = [*CLAUDE_STATUS["values"], long]
    assert "…" not in "".join(CLAUDE_CODE.status(CLAUDE_STATUS | {"values": values}, style))


def test_codex_cli_a_change_is_shown_as_a_diff():
    text = "\n".join(CODEX_CLI.set_up(CODEX_DONE, PLAIN))
    assert "SETTING" in text
    assert "+  model_provider          codexd\n" in text
    assert "before-codexd" in text
    assert "A note." in text


def test_codex_cli_the_proof_is_the_last_line():
    assert CODEX_CLI.proxied(CODEX_DONE | {"proof": CODEX_PROOF}, PLAIN)[-1] == (
        "It works: gpt-5.5 answered in 1.2 s on work@example.com."
    )
    failed = CODEX_PROOF | {"ok": False, "message": "No account is signed in."}
    text = " ".join(CODEX_CLI.proxied(CODEX_DONE | {"proof": failed}, PLAIN))
    assert "No account is signed in." in text
    assert "codexctl why req_1" in text
    assert "The Codex CLI stays set up. Fix the problem, then run `codexctl codex proxy` again." in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The Codex CLI works through codexd at http://127.0.0.1:8081/v1"),
        ({}, "`codexctl codex reset` restores"),
        ({"mode": "openai", "base_url": None, "can_reset": False, "exists": False}, "uses OpenAI's servers"),
        ({"mode": "openai", "base_url": None, "can_reset": False, "exists": False}, "(no such file yet)"),
        ({"mode": "openai", "base_url": None, "can_reset": False}, "`codexctl codex proxy` sets it up."),
        ({"mode": "other", "base_url": "https://x.example.com"}, "uses another server at https://x.example.com"),
        ({"mode": None, "problem": "it is broken"}, "Problem: it is broken"),
    ],
)
def test_codex_cli_status_says_how_to_go_on(changes, words):
    assert words in "\n".join(CODEX_CLI.status(CODEX_STATUS | changes, PLAIN))


def test_codex_cli_a_reset_names_what_the_user_changed():
    text = "\n".join(CODEX_CLI.was_reset(CODEX_DONE | {"changes": [], "left": ["model_provider"]}, PLAIN))
    assert "/home/me/.codex/config.toml has no changes made by codexd." in text
    assert "You have changed model_provider" in text


def test_codex_cli_tables_fit_80_columns():
    long = CODEX_TABLE | {"before": "x" * 60, "after": "y" * 60}
    for line in CODEX_CLI.set_up(CODEX_DONE | {"changes": [long]}, NARROW):
        assert len(line) <= 80 or line.startswith("/home")
