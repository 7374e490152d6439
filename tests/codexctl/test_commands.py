import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from support.control_server import NOW, auth_json, make_control, serving

from codexctl.claude import pass_on
from codexctl.commands import COMMANDS, TABLES, build_parser, load_commands
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


@asynccontextmanager
async def running(control, *arguments):
    """codexctl under way: its process, and a function that reads the next line of its output."""
    command = [sys.executable, "-m", "codexctl", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environ(control)}
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, check=False, **options))
        async with process.stdout, process.stderr:
            yield process, line_reader(process.stdout), line_reader(process.stderr)
            process.kill()


def line_reader(stream):
    buffer = bytearray()

    async def read_line():
        with trio.fail_after(20):
            while b"\n" not in buffer:
                data = await stream.receive_some()
                assert data, "the output ended"
                buffer.extend(data)
        line, _, rest = bytes(buffer).partition(b"\n")
        buffer[:] = rest
        return line.decode()

    return read_line


def log_entry(message, level="info", at=NOW, **fields):
    return LogEntry(0, at, level, "codexd.test", message, None, fields)


async def test_status(control, store):
    store.add(auth_json(), now=NOW)
    async with serving(control):
        code, out, err = await run(control, "status")
    assert (code, err) == (0, "")
    assert "codexd 0.1.0 is running" in out
    assert "account       work@example.com\n" in out


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
    assert (code, third) == (0, "home@example.com is now the active account, in place of work@example.com.\n")
    assert control.store.active.email == "home@example.com"


async def test_logs_and_their_filters(control):
    control.logs.append(log_entry("quiet"))
    control.logs.append(log_entry("loud", "error", model="gpt-5.5"))
    async with serving(control):
        _, everything, _ = await run(control, "logs")
        _, errors, _ = await run(control, "logs", "--level", "error", "--grep", "GPT-5.5", "-n", "5")
        _, none, _ = await run(control, "logs", "--request", "req_none")
        _, as_json, _ = await run(control, "logs", "-n", "1", "--json")
        _, recent, _ = await run(control, "logs", "--since", "1h30m", "--json")
    assert [line.split()[-1] for line in everything.splitlines()] == ["quiet", "model=gpt-5.5"]
    assert len(errors.splitlines()) == 1
    assert none == ""
    assert [entry["message"] for entry in json.loads(as_json)["entries"]] == ["loud"]
    assert [entry["at"] for entry in json.loads(recent)["entries"]] == [NOW, NOW]


async def test_following_flushes_each_line_and_survives_a_restart(control):
    control.logs.append(log_entry("past"))
    async with trio.open_nursery() as nursery:
        first = await start_serving(nursery, control)
        async with running(control, "logs", "-f") as (process, read_out, read_err):
            assert (await read_out()).endswith("past")
            control.logs.append(log_entry("new", at=NOW + 1))
            assert (await read_out()).endswith("new")
            await first()
            assert "closed the connection" in await read_err()
            assert await read_err() == "Waiting for it to come back."
            control.logs.append(log_entry("while away", at=NOW + 2))
            second = await start_serving(nursery, control)
            assert await read_err() == "codexctl: codexd is back."
            assert (await read_out()).endswith("while away")
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
        await second()


async def start_serving(nursery, control):
    """A server of its own in ``nursery``; the function that stops it."""
    scope, ended = trio.CancelScope(), trio.Event()

    async def stop():
        scope.cancel()
        await ended.wait()

    async def serve(task_status):
        with scope:
            async with serving(control):
                task_status.started(stop)
                await trio.sleep_forever()
        ended.set()

    return await nursery.start(serve)


async def test_following_as_json_is_one_document_a_line(control):
    control.logs.append(log_entry("past"))
    async with serving(control), running(control, "logs", "-f", "--json") as (_process, read_out, _read_err):
        assert json.loads(await read_out())["entry"]["message"] == "past"


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
    "arguments", [[], ["accounts", "bogus"], ["logs", "--since", "soon"], ["logs", "-n", "-1"], ["stat"]]
)
async def test_wrong_usage_is_exit_2(control, arguments):
    code, out, err = await run(control, *arguments)
    assert (code, out) == (2, "")
    assert "usage: codexctl" in err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_every_command_has_help_with_a_valid_example(command, capsys):
    parser = build_parser(COMMANDS)
    with pytest.raises(SystemExit):
        parser.parse_args([*command.words, "--help"])
    out = capsys.readouterr().out
    assert f"Example: {command.example}" in out
    assert "--json" in out
    assert "--socket" in out
    words = shlex.split(command.example)
    assert parser.parse_args(pass_on(words[words.index("codexctl") + 1 :])).command is command


@pytest.mark.parametrize("word", TABLES)
def test_a_command_is_found_by_its_first_word_alone(word):
    alone = [command for command in load_commands(word) if command.words[0] == word]
    assert alone
    assert alone == [command for command in COMMANDS if command.words[0] == word]


def test_every_command_can_be_found():
    assert {command.words[0] for command in COMMANDS} == set(TABLES)


async def test_a_one_shot_command_imports_the_standard_library_only(control):
    command = [sys.executable, "-X", "importtime", "-m", "codexctl", "accounts", "list"]
    done = await trio.run_process(command, capture_stderr=True, check=False, env=environ(control))
    names = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines() if "|" in line}
    assert done.returncode == 3
    assert "codexd.rpc" in names
    assert not FORBIDDEN & {name.partition(".")[0] for name in names}
    assert {name for name in names if name.startswith("codexd")} == {"codexd", "codexd.rpc", "codexd.paths"}
    assert not {"codexctl.settings", "codexctl.requests", "codexctl.sign_in", "http.client"} & names
