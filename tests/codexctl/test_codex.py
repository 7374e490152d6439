import json

import pytest

from codexctl.render.base import Style
from codexctl.render.clients import CODEX_CLI

PLAIN = Style(now=0.0)
NARROW = Style(now=0.0, width=80)
EDIT = {"name": "model_provider", "before": None, "after": "codexd"}
TABLE = {"name": "model_providers.codexd", "before": None, "after": "http://127.0.0.1:8081/v1, asks for limits"}
DONE = {
    "path": "/home/me/.codex/config.toml",
    "mode": "codexd",
    "dry_run": False,
    "changes": [EDIT, TABLE],
    "left": [],
    "backup": "/home/me/.codex/config.toml.before-codexd",
    "notes": ["A note."],
    "proof": None,
}
PROOF = {
    "ok": True,
    "message": "gpt-5.5 answered in 1.2 s.",
    "model": "gpt-5.5",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "status": 200,
    "duration_ms": 1200,
    "request": "req_1",
}
STATUS = {
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
}


def test_a_change_is_shown_as_a_diff():
    text = "\n".join(CODEX_CLI.set_up(DONE, PLAIN))
    assert "SETTING" in text
    assert "+  model_provider          codexd\n" in text
    assert "before-codexd" in text
    assert "A note." in text


def test_the_proof_is_the_last_line():
    assert CODEX_CLI.proxied(DONE | {"proof": PROOF}, PLAIN)[-1] == (
        "It works: gpt-5.5 answered in 1.2 s on work@example.com."
    )
    failed = PROOF | {"ok": False, "message": "No account is signed in."}
    text = " ".join(CODEX_CLI.proxied(DONE | {"proof": failed}, PLAIN))
    assert "No account is signed in." in text
    assert "codexctl why req_1" in text
    assert "The Codex CLI stays set up. Once that is mended, run `codexctl codex proxy` again." in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The Codex CLI works through codexd at http://127.0.0.1:8081/v1"),
        ({}, "`codexctl codex reset` puts back"),
        ({"mode": "openai", "base_url": None, "can_reset": False, "exists": False}, "uses OpenAI's servers"),
        ({"mode": "openai", "base_url": None, "can_reset": False, "exists": False}, "(no such file yet)"),
        ({"mode": "openai", "base_url": None, "can_reset": False}, "`codexctl codex proxy` sets it up."),
        ({"mode": "other", "base_url": "https://x.example.com"}, "uses another server at https://x.example.com"),
        ({"mode": None, "problem": "it is broken"}, "Problem: it is broken"),
    ],
)
def test_status_says_how_to_go_on(changes, words):
    assert words in "\n".join(CODEX_CLI.status(STATUS | changes, PLAIN))


def test_a_reset_names_what_the_user_changed():
    text = "\n".join(CODEX_CLI.was_reset(DONE | {"changes": [], "left": ["model_provider"]}, PLAIN))
    assert "Nothing of codexd is in /home/me/.codex/config.toml." in text
    assert "You have changed model_provider" in text


def test_tables_fit_80_columns():
    long = TABLE | {"before": "x" * 60, "after": "y" * 60}
    for line in CODEX_CLI.set_up(DONE | {"changes": [long]}, NARROW):
        assert len(line) <= 80 or line.startswith("/home")


@pytest.mark.parametrize(
    ("arguments", "changes", "folder"),
    [
        ((), {"HOME": "/home/me", "CODEX_HOME": ""}, "/home/me/.codex"),
        ((), {"HOME": "/home/me", "CODEX_HOME": "/elsewhere/codex"}, "/elsewhere/codex"),
        (("--config-dir", "/third"), {"HOME": "/home/me", "CODEX_HOME": "/elsewhere/codex"}, "/third"),
    ],
)
def test_the_folder_is_the_callers(daemon, piped, arguments, changes, folder):
    daemon.answers["codex.reset"] = DONE | {"mode": "openai"}
    process = piped("codex", "reset", "--dry-run", *arguments, **changes)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert daemon.calls == [("codex.reset", {"config_dir": folder, "dry_run": True})]


def test_a_failed_proof_is_exit_status_1(daemon, piped):
    daemon.answers["codex.proxy"] = DONE | {"proof": PROOF | {"ok": False}}
    process = piped("codex", "proxy", HOME="/home/me", CODEX_HOME="")
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert daemon.calls == [("codex.proxy", {"config_dir": "/home/me/.codex"})]


def test_json_is_the_whole_answer(daemon, piped):
    daemon.answers["codex.status"] = STATUS
    out, _ = piped("--json", "codex").communicate(timeout=20)
    assert json.loads(out) == STATUS


def test_what_can_be_typed_next(daemon, piped):
    out, _ = piped("__complete", "codex", "").communicate(timeout=20)
    assert [line.partition("\t")[0] for line in out.splitlines()] == ["status", "proxy", "reset"]
    out, _ = piped("__complete", "codex", "proxy", "--config-dir", "").communicate(timeout=20)
    assert out == ":files\n"


def test_a_daemon_that_goes_away_leaves_open_what_was_changed(daemon, piped, scripting):
    daemon.answers["codex.proxy"], _ = scripting
    process = piped("codex", "proxy")
    daemon.hang_up("codex.proxy")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "the settings of the Codex CLI may be changed already: `codexctl codex` shows" in " ".join(err.split())
