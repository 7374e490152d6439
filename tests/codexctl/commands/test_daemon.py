import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from support.control_server import NOW, auth_json, make_control, serving
from support.harness import HELLO, post, start_daemon

from codexd.accounts.store.store import AccountStore
from codexd.api.records import LogEntry


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


async def test_following_as_json_is_one_document_a_line(control):
    control.logs.append(log_entry("past"))
    async with serving(control), running(control, "logs", "-f", "--json") as (_process, read_out, _read_err):
        assert json.loads(await read_out())["entry"]["message"] == "past"


async def test_stop_waits_until_the_daemon_has_ended(tmp_path):
    async with trio.open_nursery() as clients:
        async with trio.open_nursery() as daemons:
            running = await start_daemon(daemons, tmp_path)
            running.load({"output": [{"text": "begun"}], "hold": "end", "after_events": 4})
            clients.start_soon(post, running, HELLO)
            with trio.fail_after(20):
                while not running.asked:
                    await trio.sleep(0.01)
                command = [sys.executable, "-m", "codexctl", "--socket", str(running.places.socket), "stop"]
                process = await clients.start(
                    partial(trio.run_process, command, stdout=subprocess.PIPE, capture_stderr=True)
                )
                said = b""
                while not said.endswith(b"\n"):
                    said += await process.stdout.receive_some()
                assert said == b"codexd is stopping. 1 running request has up to 5 s to finish.\n"
                with trio.move_on_after(0.5):
                    await process.wait()
                assert process.returncode is None
                running.simulator.release("end")
        with trio.fail_after(20):
            assert await process.wait() == 0
