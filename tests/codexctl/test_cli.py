"""The command line as a whole: help, exit statuses, what is imported, and what a pipe gets."""

import json
import os
import shlex
import sys

import pytest
import trio
from support.control_server import NOW, auth_json, make_control, serving

from codexctl.cli import build_parser
from codexctl.commands import MODULES, load_commands
from codexctl.commands.clients import mark_passed_on
from codexd.accounts.limits.windows import Observation, Window
from codexd.accounts.store.store import AccountStore
from codexd.api.records import LogEntry

FORBIDDEN = {"trio", "attr", "attrs", "cattrs", "httpx", "quart", "prompt_toolkit", "orjson", "platformdirs", "asyncio"}


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


def environ(control, **changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEXD_")}
    return kept | {"CODEXD_SOCKET": str(control.places.socket), "PYTHONUTF8": "1"} | changes


async def run(control, *arguments, **changes):
    command = [sys.executable, "-m", "codexctl", *arguments]
    with trio.fail_after(20):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False, env=environ(control, **changes)
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def log_entry(message, level="info", at=NOW, **fields):
    return LogEntry(0, at, level, "codexd.test", message, None, fields)


@pytest.mark.parametrize("words", [("accounts",), ("accounts", "list")])
async def test_accounts_as_table_and_as_json(control, store, words):
    account, _ = store.add(auth_json(), now=NOW, simulated=True)
    async with serving(control):
        _, table, _ = await run(control, *words)
        _, before, _ = await run(control, "--json", *words)
        code, after, _ = await run(control, *words, "--json")
    assert "work@example.com" in table
    assert "simulated" in table
    assert "\x1b" not in table
    assert code == 0
    assert json.loads(before) == json.loads(after)
    assert json.loads(after)["active"] == account.id


async def test_import_and_switch(control, tmp_path, monkeypatch):
    (tmp_path / "home.json").write_text(json.dumps(auth_json("home@example.com")))
    (tmp_path / "codex-cli").mkdir()
    (tmp_path / "codex-cli" / "auth.json").write_text(json.dumps(auth_json()))
    monkeypatch.chdir(tmp_path)
    async with serving(control):
        _, first, _ = await run(control, "accounts", "import")
        _, second, _ = await run(control, "accounts", "import", "home.json")
        code, third, _ = await run(control, "accounts", "switch", "home")
    assert first.startswith("Added work@example.com.\n\n")
    assert "codexctl accounts import --follow" in " ".join(first.split())
    assert second.startswith("Added home@example.com.\n")
    assert (code, third) == (0, "home@example.com is now the active account, instead of work@example.com.\n")
    assert control.store.active.email == "home@example.com"


async def test_a_reader_that_has_seen_enough(control):
    for number in range(1000):
        control.logs.append(log_entry(f"{number} " + "x" * 1000))
    async with serving(control):
        script = f"{sys.executable} -m codexctl logs -n 1000 | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = await trio.run_process(
            ["bash", "-c", script], capture_stdout=True, capture_stderr=True, env=environ(control)
        )
    assert done.stderr == b""
    assert done.stdout.decode().splitlines()[1] == "0"


async def test_an_ascii_output_is_no_reason_to_fail(control, store):
    store.add(auth_json(), now=NOW)
    window = Window("5h", 50.0, 18000, NOW + 60)
    control.accounts.tracker.fold(store.active.id, Observation((window,), "plus", NOW))
    async with serving(control):
        code, _, err = await run(control, "accounts", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")


async def test_what_the_daemon_refuses_is_exit_1(control):
    async with serving(control):
        code, out, err = await run(control, "accounts", "switch", "nobody")
    assert (code, out) == (1, "")
    assert err.startswith("codexctl: ")
    assert "nobody" in err


async def test_no_daemon_is_exit_3(control):
    for arguments in (["status"], ["logs", "-f"], ["accounts", "--socket", "absent.sock"]):
        code, out, err = await run(control, *arguments)
        assert (code, out) == (3, "")
        assert "Start it with: codexd  (or: codexd --simulate)" in err
    assert "/absent.sock. Start" in err


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        (["accounts", "switch", "nobody"], 1, "account_not_found"),
        (["settings", "set", "log.level", "loud"], 1, "setting_invalid"),
        (["accounts", "import", "absent.json"], 1, "login_file_invalid"),
        (["requests", "cancel", "req_1"], 1, "request_not_found"),
        (["settings", "set", "models.aliases", "{"], 2, "usage"),
        (["accounts", "remove", "x"], 2, "usage"),
        (["top"], 2, "usage"),
        (["stauts"], 2, "usage"),
        (["accounts", "swich"], 2, "usage"),
        (["logs", "--since", "soon"], 2, "usage"),
        (["accounts", "switch"], 2, "usage"),
        (["status", "--socket", "absent.sock"], 3, "no_daemon"),
        (["logs", "-f", "--socket", "absent.sock"], 3, "no_daemon"),
        (["accounts", "add", "--socket", "absent.sock"], 3, "no_daemon"),
    ],
)
async def test_under_json_a_refusal_is_an_object(control, arguments, status, kind):
    async with serving(control):
        code, out, err = await run(control, "--json", *arguments)
    assert (code, err) == (status, "")
    error = json.loads(out)["error"]
    assert error["kind"] == kind
    assert error["message"]
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["accounts", "bogus"], ["logs", "--since", "soon"], ["logs", "-n", "-1"], ["stat"]]
)
async def test_wrong_usage_is_exit_2(control, arguments):
    code, out, err = await run(control, *arguments)
    assert (code, out) == (2, "")
    assert "usage: codexctl" in err


@pytest.mark.parametrize("command", load_commands(), ids=lambda command: " ".join(command.words))
def test_every_command_has_help_with_valid_examples(command, capsys):
    parser = build_parser(load_commands())
    with pytest.raises(SystemExit):
        parser.parse_args([*command.words, "--help"])
    out = capsys.readouterr().out
    assert "--json" in out
    assert "--socket" in out
    assert len(command.example.splitlines()) > 1
    for example in command.example.splitlines():
        assert f"\n  {example}\n" in out
        words = shlex.split(example.partition(" | ")[0], comments=True)
        assert parser.parse_args(mark_passed_on(words[words.index("codexctl") + 1 :])).command is command


@pytest.mark.parametrize("word", MODULES)
def test_a_command_is_found_by_its_first_word_alone(word):
    alone = [command for command in load_commands(word) if command.words[0] == word]
    assert alone
    assert alone == [command for command in load_commands() if command.words[0] == word]


def test_every_command_can_be_found():
    assert {command.words[0] for command in load_commands()} == set(MODULES)


async def test_a_one_shot_command_imports_the_standard_library_only(control):
    command = [sys.executable, "-X", "importtime", "-m", "codexctl", "accounts", "list"]
    done = await trio.run_process(command, capture_stderr=True, check=False, env=environ(control))
    names = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines() if "|" in line}
    assert done.returncode == 3
    assert "codexd.rpc" in names
    assert not FORBIDDEN & {name.partition(".")[0] for name in names}
    assert {name for name in names if name.startswith("codexd")} == {
        "codexd",
        "codexd.bounds",
        "codexd.rpc",
        "codexd.paths",
    }
    assert not {f"codexctl.commands.{name}" for name in ("settings", "requests", "sign_in")} & names
    assert not {"unicodedata", "textwrap", "dataclasses", "http.client"} & names
