import json
from pathlib import Path

import pytest

from codexd.clients.address import NO_KEY, Address
from codexd.doctor import clients
from codexd.doctor.clients import CLAUDE, CODEX, Installed, SetUp
from codexd.doctor.finding import Level

HERE = Address("http://127.0.0.1:8081", NO_KEY)
KEYED = Address("http://127.0.0.1:8081", "the-key")
INSTALLED = Installed("/usr/bin/x", "2.1")
POINTS_HERE = {"ANTHROPIC_BASE_URL": HERE.url, "ANTHROPIC_AUTH_TOKEN": NO_KEY}
PROVIDER = '[model_providers.codexd]\nname = "codexd"\nbase_url = "http://127.0.0.1:8081/v1"\n'


def claude(tmp_path, env, environ=None, address=HERE):
    (tmp_path / "settings.json").write_text(env if isinstance(env, str) else json.dumps({"env": env}))
    return clients.read_claude(tmp_path, None, environ or {}, address)


def codex(tmp_path, text, address=HERE):
    (tmp_path / "config.toml").write_text(text)
    return clients.read_codex(tmp_path, address)


def wrong(client, set_up, environ=None, *, daemon_runs=True, installed=INSTALLED):
    found = clients.check_client(client, installed, set_up, environ or {}, None if daemon_runs else "codexd")
    return [(each.kind, each.level, each.remedy) for each in found if each.level is not Level.OK]


def test_claude_code_that_is_set_up(tmp_path):
    set_up = claude(tmp_path, POINTS_HERE)
    assert wrong(CLAUDE, set_up) == []
    assert wrong(CLAUDE, set_up, daemon_runs=False) == [("claude_without_codexd", Level.PROBLEM, "codexd")]


def test_a_client_that_is_not_installed(tmp_path):
    nothing = clients.read_claude(tmp_path, None, {}, HERE)
    assert wrong(CLAUDE, nothing, installed=None) == [("claude_not_installed", Level.NOTE, None)]
    broken = Installed("/usr/bin/codex", None)
    assert wrong(CODEX, None, installed=broken) == [("codex_broken", Level.WARNING, "codex --version")]


@pytest.mark.parametrize(
    ("env", "environ", "found"),
    [
        ({}, {}, [("claude_elsewhere", Level.NOTE, "codexctl claude proxy")]),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, {}, [("claude_stale", Level.WARNING, "codexctl claude proxy")]),
        (
            {"ANTHROPIC_BASE_URL": "https://u:marked@gateway.example"},
            {},
            [("claude_elsewhere", Level.NOTE, "codexctl claude proxy")],
        ),
        ({}, {"ANTHROPIC_BASE_URL": HERE.url}, []),
        (
            POINTS_HERE,
            {"CLAUDE_CODE_USE_BEDROCK": "1"},
            [("claude_bypassed", Level.PROBLEM, "unset CLAUDE_CODE_USE_BEDROCK")],
        ),
        (POINTS_HERE | {"CLAUDE_CODE_USE_VERTEX": "1"}, {}, [("claude_bypassed", Level.PROBLEM, None)]),
    ],
)
def test_where_claude_code_goes(tmp_path, env, environ, found):
    set_up = claude(tmp_path, env, environ)
    assert wrong(CLAUDE, set_up, environ) == found
    assert "marked" not in str(set_up)


def test_a_wrong_key_is_one_finding(tmp_path):
    set_up = claude(tmp_path, POINTS_HERE, address=KEYED)
    assert wrong(CLAUDE, set_up) == [("claude_key_wrong", Level.PROBLEM, "codexctl claude proxy")]


def test_the_settings_of_a_project_win(tmp_path):
    project = tmp_path / "project"
    (project / ".claude").mkdir(parents=True)
    other = {"env": {"ANTHROPIC_BASE_URL": "https://api.anthropic.com"}}
    (project / ".claude/settings.json").write_text(json.dumps(other))
    claude(tmp_path, POINTS_HERE)
    set_up = clients.read_claude(tmp_path, project, {}, HERE)
    assert [kind for kind, _, _ in wrong(CLAUDE, set_up)] == ["claude_bypassed"]


@pytest.mark.parametrize("text", ["{//", '{"env": 5}', "[]"])
def test_a_settings_file_that_claude_code_can_not_read(tmp_path, text):
    found = wrong(CLAUDE, claude(tmp_path, text))
    assert found == [("claude_settings_unreadable", Level.PROBLEM, f"${{EDITOR:-vi}} {tmp_path / 'settings.json'}")]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f'model_provider = "codexd"\n{PROVIDER}', []),
        ("", ["codex_elsewhere"]),
        ('model_provider = "openai"', ["codex_elsewhere"]),
        (f'model_provider = "codexd"\n{PROVIDER.replace("8081", "9")}', ["codex_stale"]),
        (f'profile = "x"\nmodel_provider = "codexd"\n{PROVIDER}', ["codex_bypassed"]),
        ("x = [", ["codex_settings_unreadable"]),
        ('model_provider = 5\nmodel_providers = "x"', ["codex_elsewhere"]),
    ],
)
def test_where_the_codex_cli_goes(tmp_path, text, kinds):
    assert [kind for kind, _, _ in wrong(CODEX, codex(tmp_path, text))] == kinds


def test_a_running_daemons_own_words():
    status = {
        "path": "/p",
        "mode": "codexd",
        "base_url": HERE.url,
        "address": HERE.url,
        "overridden_by": [],
        "notes": ["Out of date; `codexctl claude proxy` renews it."],
        "problem": None,
        "more": 1,
    }
    found = wrong(CLAUDE, SetUp.of_status(status))
    assert found == [("claude_note", Level.WARNING, "codexctl claude proxy")]


def make_program(folder, script):
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return clients.find_program("claude", {"PATH": str(folder)})


@pytest.mark.parametrize(
    ("script", "version"),
    [("echo '2.1.332 (Claude Code)'", "2.1.332"), ("echo 1.2; exit 3", None), ("echo hello", None)],
)
def test_the_version_of_a_program(tmp_path, script, version):
    assert make_program(tmp_path, script) == Installed(str(tmp_path / "claude"), version)


def test_no_program(tmp_path):
    assert clients.find_program("claude", {"PATH": str(tmp_path)}) is None
    (tmp_path / "claude").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "claude").chmod(0o755)
    assert clients.find_program("claude", {"PATH": str(tmp_path)}) == Installed(str(tmp_path / "claude"), None)


def test_the_folders_of_the_clients():
    assert clients.find_folder({"HOME": "/h"}, "CODEX_HOME", ".codex") == Path("/h/.codex")
    assert clients.find_folder({"HOME": "/h", "CODEX_HOME": "/c"}, "CODEX_HOME", ".codex") == Path("/c")
