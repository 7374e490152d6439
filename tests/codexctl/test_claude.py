import pytest

from codexctl.claude import pass_on
from codexctl.render.base import Style
from codexctl.render.clients import CLAUDE_CODE

PLAIN = Style(now=0.0)
NARROW = Style(now=0.0, width=80)
EDIT = {"name": "ANTHROPIC_BASE_URL", "before": None, "after": "http://127.0.0.1:8081"}
MOVED = {"name": "ANTHROPIC_BASE_URL", "before": "https://gateway.example.com", "after": "http://127.0.0.1:8081"}
GONE = {"name": "ANTHROPIC_API_KEY", "before": "(secret)", "after": None}
DONE = {
    "path": "/home/me/.claude/settings.json",
    "mode": "codexd",
    "dry_run": False,
    "changes": [EDIT, GONE],
    "left": [],
    "backup": "/home/me/.claude/settings.json.before-codexd",
    "notes": ["A note."],
    "proof": None,
}
PROOF = {
    "ok": True,
    "message": "gpt-5.5 answered in 1.2 s.",
    "model": "claude-opus-5-5",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "status": 200,
    "duration_ms": 1200,
    "request": "req_1",
}
STATUS = {
    "path": "/home/me/.claude/settings.json",
    "exists": True,
    "mode": "codexd",
    "base_url": "http://127.0.0.1:8081",
    "address": "http://127.0.0.1:8081",
    "values": [{"name": "ANTHROPIC_BASE_URL", "value": "http://127.0.0.1:8081"}],
    "can_reset": True,
    "notes": [],
    "problem": None,
}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["claude", "run", "-p", "hi"], ["claude", "run", "--", "-p", "hi"]),
        (
            ["--json", "--socket", "/s", "claude", "run", "--json"],
            ["--json", "--socket", "/s", "claude", "run", "--", "--json"],
        ),
        (["claude", "run"], ["claude", "run"]),
        (["claude", "run", "-h"], ["claude", "run", "-h"]),
        (["claude", "run", "--", "-h"], ["claude", "run", "--", "-h"]),
        (["claude", "proxy", "--dry-run"], ["claude", "proxy", "--dry-run"]),
        (["test", "claude", "run", "-x"], ["test", "claude", "run", "-x"]),
        (["claude"], ["claude"]),
        ([], []),
    ],
)
def test_what_is_claude_codes_is_passed_on(given, read):
    assert pass_on(given) == read


def test_a_change_is_shown_as_a_diff():
    text = "\n".join(CLAUDE_CODE.set_up(DONE | {"changes": [EDIT, GONE, MOVED]}, PLAIN))
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
    text = "\n".join(CLAUDE_CODE.set_up(DONE | {"dry_run": True, "backup": None}, PLAIN))
    assert "would be changed:" in text
    nothing = DONE | {"dry_run": True, "changes": [], "backup": None}
    assert "nothing would change" in "\n".join(CLAUDE_CODE.set_up(nothing, PLAIN))


def test_the_proof_is_the_last_line():
    assert CLAUDE_CODE.proxied(DONE | {"proof": PROOF}, PLAIN)[-1] == (
        "It works: gpt-5.5 answered in 1.2 s on work@example.com."
    )
    failed = PROOF | {"ok": False, "message": "No account is signed in."}
    text = "\n".join(CLAUDE_CODE.proxied(DONE | {"proof": failed}, PLAIN))
    assert "The request failed." in text
    assert "No account is signed in." in text
    assert "codexctl why req_1" in text


def test_status_says_how_to_go_on():
    assert "works through codexd at http://127.0.0.1:8081" in CLAUDE_CODE.status(STATUS, PLAIN)[0]
    assert "claude reset" in "\n".join(CLAUDE_CODE.status(STATUS, PLAIN))
    fresh = STATUS | {"mode": "anthropic", "base_url": None, "can_reset": False, "values": [], "exists": False}
    text = "\n".join(CLAUDE_CODE.status(fresh, PLAIN))
    assert "uses Anthropic's servers" in text
    assert "claude proxy" in text
    broken = STATUS | {"mode": None, "problem": "it is broken"}
    assert CLAUDE_CODE.status(broken, PLAIN) == ["Problem: it is broken"]


def test_a_reset_names_what_the_user_changed():
    text = "\n".join(CLAUDE_CODE.was_reset(DONE | {"changes": [], "left": ["ANTHROPIC_BASE_URL"]}, PLAIN))
    assert "You have changed ANTHROPIC_BASE_URL" in text


def test_tables_fit_80_columns():
    long = EDIT | {"name": "ANTHROPIC_DEFAULT_SONNET_MODEL_DESCRIPTION", "before": "x" * 60, "after": "y" * 60}
    listed = STATUS | {"values": [{"name": long["name"], "value": long["after"]}]}
    for lines in (CLAUDE_CODE.set_up(DONE | {"changes": [long]}, NARROW), CLAUDE_CODE.status(listed, NARROW)):
        assert any(long["name"] in line for line in lines)
        assert all(len(line) <= 80 or line.startswith("/home") for line in lines)


def test_a_key_is_read_from_the_input_and_the_folder_is_the_callers(daemon, piped):
    daemon.answers["claude.direct"] = DONE | {"mode": "anthropic"}
    process = piped("claude", "direct", "--key", CLAUDE_CONFIG_DIR="/elsewhere/claude")
    out, err = process.communicate("sk-ant-1\n", timeout=20)
    assert (process.returncode, err) == (0, "")
    assert daemon.calls == [("claude.direct", {"api_key": "sk-ant-1", "config_dir": "/elsewhere/claude"})]
    assert "sk-ant-1" not in out


def test_a_failed_proof_is_exit_status_1(daemon, piped):
    daemon.answers["claude.proxy"] = DONE | {"proof": PROOF | {"ok": False}}
    process = piped("claude", "proxy", HOME="/home/me", CLAUDE_CONFIG_DIR="")
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert daemon.calls == [("claude.proxy", {"config_dir": "/home/me/.claude"})]


def test_a_daemon_that_goes_away_leaves_open_what_was_changed(daemon, piped, scripting):
    daemon.answers["claude.proxy"], _ = scripting
    process = piped("claude", "proxy")
    daemon.hang_up("claude.proxy")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "start it with: codexd" in err
    assert "may be changed already: `codexctl claude` shows" in err


def test_run_starts_the_program_with_the_settings_and_without_what_leads_elsewhere(daemon, piped, tmp_path):
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\necho "$@" "$ANTHROPIC_BASE_URL" "${ANTHROPIC_API_KEY-none}"\nexit 7\n')
    program.chmod(0o755)
    daemon.answers["claude.environment"] = {
        "variables": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8081"},
        "remove": ["ANTHROPIC_API_KEY"],
        "settings_path": "/state/claude-run.json",
    }
    process = piped("claude", "run", "-p", "hi", PATH=f"{tmp_path}:/usr/bin:/bin", ANTHROPIC_API_KEY="sk")
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, "--settings /state/claude-run.json -p hi http://127.0.0.1:8081 none\n")


def test_without_the_program_it_says_so(daemon, piped, tmp_path):
    process = piped("claude", "run", PATH="/nonexistent", HOME=str(tmp_path))
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "`claude` is not in the PATH" in " ".join(err.split())) == (1, True)
