import json
from pathlib import Path

import pytest
from support.control_answers import CLAUDE_DONE, CLAUDE_PROOF, CODEX_DONE, CODEX_PROOF, CODEX_STATUS

from codexctl.commands.clients import mark_passed_on

HERE = {"working_dir": str(Path.cwd())}


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
    assert mark_passed_on(given) == read


def test_a_key_is_read_from_the_input_and_the_folder_is_the_callers(daemon, piped):
    daemon.answers["claude.direct"] = CLAUDE_DONE | {"mode": "anthropic"}
    process = piped("claude", "direct", "--key", CLAUDE_CONFIG_DIR="/elsewhere/claude")
    out, err = process.communicate("sk-ant-1\n", timeout=20)
    assert (process.returncode, err) == (0, "")
    assert daemon.calls == [("claude.direct", {"api_key": "sk-ant-1", "config_dir": "/elsewhere/claude", **HERE})]
    assert "sk-ant-1" not in out


def test_claude_code_a_failed_proof_is_exit_status_1(daemon, piped):
    daemon.answers["claude.proxy"] = CLAUDE_DONE | {"proof": CLAUDE_PROOF | {"ok": False}}
    process = piped("claude", "proxy", HOME="/home/me", CLAUDE_CONFIG_DIR="")
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert daemon.calls == [("claude.proxy", {"config_dir": "/home/me/.claude", **HERE})]


def test_a_set_up_that_something_else_wins_over_is_exit_status_1(daemon, piped):
    lost = {"takes_effect": False, "overridden_by": ["CLAUDE_CODE_USE_BEDROCK is set."]}
    daemon.answers["claude.proxy"] = CLAUDE_DONE | {"proof": CLAUDE_PROOF} | lost
    process = piped("claude", "proxy", "--ask", HOME="/home/me", CLAUDE_CONFIG_DIR="", CLAUDE_CODE_USE_BEDROCK="1")
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out.splitlines()[0]) == (1, "Claude Code does not do what its settings say:")
    shell = {"environment": {"CLAUDE_CODE_USE_BEDROCK": "1"}}
    assert daemon.calls == [("claude.proxy", {"config_dir": "/home/me/.claude", "ask": True, **HERE, **shell})]


def test_claude_code_a_daemon_that_goes_away_leaves_open_what_was_changed(daemon, piped, scripting):
    daemon.answers["claude.proxy"], _ = scripting
    process = piped("claude", "proxy")
    daemon.hang_up("claude.proxy")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "start it with: codexd" in err
    assert "may already be changed. `codexctl claude` shows" in err


def test_run_starts_the_program_with_the_settings_and_without_what_leads_elsewhere(daemon, piped, tmp_path):
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\necho "$@" "$ANTHROPIC_BASE_URL" "${ANTHROPIC_API_KEY-none}"\nexit 7\n')
    program.chmod(0o755)
    daemon.answers["claude.environment"] = {
        "variables": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8081"},
        "remove": ["ANTHROPIC_API_KEY"],
        "settings_path": "/state/claude-run.json",
        "overridden_by": ["ANTHROPIC_BASE_URL is set in /etc/claude-code/managed-settings.json."],
    }
    process = piped("claude", "run", "-p", "hi", PATH=f"{tmp_path}:/usr/bin:/bin", ANTHROPIC_API_KEY="sk")
    out, err = process.communicate(timeout=20)
    assert "won't work through codexd: ANTHROPIC_BASE_URL is set in /etc" in err
    assert (process.returncode, out) == (7, "--settings /state/claude-run.json -p hi http://127.0.0.1:8081 none\n")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "-"),
        ({"HTTPS_PROXY": "http://corp:1"}, "127.0.0.1,localhost,::1"),
        ({"http_proxy": "http://corp:1", "NO_PROXY": ".corp"}, ".corp,127.0.0.1,localhost,::1"),
        ({"ALL_PROXY": "http://corp:1", "NO_PROXY": "127.0.0.1"}, "127.0.0.1"),
    ],
)
def test_a_program_that_is_run_reaches_codexd_without_the_proxy(daemon, piped, tmp_path, changes, expected):
    program = tmp_path / "claude"
    program.write_text('#!/bin/sh\necho "${NO_PROXY--}"\n')
    program.chmod(0o755)
    daemon.answers["claude.environment"] = {"variables": {}, "remove": [], "settings_path": "/s", "overridden_by": []}
    out, _ = piped("claude", "run", PATH=f"{tmp_path}:/usr/bin:/bin", **changes).communicate(timeout=20)
    assert out == f"{expected}\n"


def test_a_shell_that_names_a_proxy_is_told_what_to_set(daemon, piped):
    daemon.answers["codex.proxy"] = CODEX_DONE | {"mode": "proxy"}
    process = piped("codex", "proxy", HTTPS_PROXY="http://user:secret@corp:1", NO_PROXY=".corp")
    _, err = process.communicate(timeout=20)
    assert "Set NO_PROXY=.corp,127.0.0.1,localhost,::1 there" in err
    assert "secret" not in err


def test_without_the_program_it_says_so(daemon, piped, tmp_path):
    process = piped("claude", "run", PATH="/nonexistent", HOME=str(tmp_path))
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "the program `claude`) was not found" in " ".join(err.split())) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "changes", "folder"),
    [
        ((), {"HOME": "/home/me", "CODEX_HOME": ""}, "/home/me/.codex"),
        ((), {"HOME": "/home/me", "CODEX_HOME": "/elsewhere/codex"}, "/elsewhere/codex"),
        (("--config-dir", "/third"), {"HOME": "/home/me", "CODEX_HOME": "/elsewhere/codex"}, "/third"),
    ],
)
def test_the_folder_is_the_callers(daemon, piped, arguments, changes, folder):
    daemon.answers["codex.reset"] = CODEX_DONE | {"mode": "openai"}
    process = piped("codex", "reset", "--dry-run", *arguments, **changes)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert daemon.calls == [("codex.reset", {"config_dir": folder, "dry_run": True, **HERE})]


def test_codex_cli_a_failed_proof_is_exit_status_1(daemon, piped):
    daemon.answers["codex.proxy"] = CODEX_DONE | {"proof": CODEX_PROOF | {"ok": False}}
    process = piped("codex", "proxy", HOME="/home/me", CODEX_HOME="")
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert daemon.calls == [("codex.proxy", {"config_dir": "/home/me/.codex", **HERE})]


def test_codex_cli_a_daemon_that_goes_away_leaves_open_what_was_changed(daemon, piped, scripting):
    daemon.answers["codex.proxy"], _ = scripting
    process = piped("codex", "proxy")
    daemon.hang_up("codex.proxy")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "the settings of the Codex CLI may already be changed. `codexctl codex` shows" in " ".join(err.split())


def test_json_is_the_whole_answer(daemon, piped):
    daemon.answers["codex.status"] = CODEX_STATUS
    out, _ = piped("--json", "codex").communicate(timeout=20)
    assert json.loads(out) == CODEX_STATUS


def test_what_can_be_typed_next(daemon, piped):
    out, _ = piped("__complete", "codex", "").communicate(timeout=20)
    assert [line.partition("\t")[0] for line in out.splitlines()] == ["status", "proxy", "reset"]
    out, _ = piped("__complete", "codex", "proxy", "--config-dir", "").communicate(timeout=20)
    assert out == ":files\n"
