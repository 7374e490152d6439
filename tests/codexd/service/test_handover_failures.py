"""Whatever goes wrong with the new process, the old one goes on, and says what it was."""

from __future__ import annotations

import os
import resource
import sys
from functools import partial

import pytest
import trio
from attrs import Factory, define
from support.small_disk import mounted

from codexd.errors import RestartFailed
from codexd.service import handover
from codexd.service.handover import Estate, Handover
from codexd.service.line import Line

TALK = """
import json, os, socket, sys
estate = json.loads(os.environ["CODEXD_HANDOVER"])
channel = socket.socket(fileno=estate["channel"])
def say(text): channel.send(text.encode())
"""
PREPARE = "say('prepared\\n'); assert channel.recv(100) == b'take\\n'\n"


@define
class World:
    nursery: trio.Nursery
    done: list = Factory(list)
    lend_s: float = 0.0
    lend_error: OSError | None = None
    take_back_error: OSError | None = None

    async def lend(self):
        await trio.sleep(self.lend_s)
        if self.lend_error is not None:
            raise self.lend_error
        self.done.append("lent")

    def take_back(self):
        self.done.append("taken back")
        if self.take_back_error is not None:
            raise self.take_back_error

    async def run(self, *command, talks=True):
        """Hand over to a process that runs the Python code in ``command``, or any other command."""
        if talks:
            command = [sys.executable, "-c", TALK + command[0]]
        return await Handover(
            command, os.environ, Line(has_waiter=False), self.nursery, self.make_estate, self.lend, self.take_back
        ).run()

    def make_estate(self, channel, stderr):
        return Estate(channel, None, stderr, stderr, [], stderr, "predecessor", "127.0.0.1", 0, False, None, None, None)


@pytest.fixture
def world(nursery):
    return World(nursery)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the process goes on, as it should
async def test_a_new_process_that_gets_ready(world, capfd):
    code = PREPARE + "print('hello', file=sys.stderr, flush=True); say('ready 9.9\\n'); channel.recv(100)"
    new = await world.run(code)
    assert new.version == "9.9"
    assert world.done == ["lent"]
    os.kill(new.pid, 9)
    with trio.fail_after(10):
        while "hello" not in capfd.readouterr().err:
            await trio.sleep(0.01)


FAILS = {
    # What the new process does, what is said about it, and what was done with the accounts.
    "an upgrade that is half done": (
        "import no_such_module",
        "ModuleNotFoundError: No module named 'no_such_module'",
        [],
    ),
    "wrong usage": ("print('usage: codexd\\ncodexd: error: no such option'); sys.exit(2)", "status 2", []),
    "its words": ("print('x\\ncodexd: error: no such option\\n', file=sys.stderr); sys.exit(2)", "no such option", []),
    "no words": ("sys.exit(3)", "it ended with status 3", []),
    "other words": ("say('hello\\n')", "it ended with status 0", []),
    "no text": ("channel.send(b'\\xff\\n')", "it ended with status 0", []),
    "after taking": (PREPARE + "print('codexd: no disk.', file=sys.stderr)", "no disk", ["lent"]),
    "killed after taking": (PREPARE + "os.kill(os.getpid(), 9)", "it was killed by SIGKILL", ["lent"]),
}


@pytest.mark.parametrize("name", FAILS)
async def test_a_new_process_that_fails(world, name):
    code, said, done = FAILS[name]
    with pytest.raises(RestartFailed) as caught:
        await world.run(code)
    assert str(caught.value).startswith("The new codexd did not start, so the old one goes on: ")
    assert str(caught.value).endswith(f"{said}.")
    assert world.done == [*done, "taken back"]


async def test_a_command_that_is_gone(world):
    with pytest.raises(RestartFailed, match=r"/nowhere/codexd can't be started \(No such file or directory\)"):
        await world.run("/nowhere/codexd", talks=False)
    assert world.done == []


async def test_without_a_command_there_is_nothing_to_start(world):
    with pytest.raises(RestartFailed, match="inside another program"):
        await world.run(talks=False)


@pytest.mark.parametrize(("limit", "code", "done"), [("PREPARE_S", "", []), ("TAKE_S", PREPARE, ["lent"])])
async def test_a_new_process_that_takes_too_long_is_ended(world, monkeypatch, limit, code, done):
    monkeypatch.setattr(handover, limit, 2.0)
    with pytest.raises(RestartFailed, match=r"it was not (prepared|ready) after 2 s"):
        await world.run(code + "import time\nprint(os.getpid(), file=sys.stderr, flush=True)\ntime.sleep(1000)")
    assert world.done == [*done, "taken back"]


async def test_one_that_does_not_end_when_told_to_is_killed(world, monkeypatch):
    monkeypatch.setattr(handover, "PREPARE_S", 2.0)
    monkeypatch.setattr(handover, "TERM_S", 0.1)
    with pytest.raises(RestartFailed, match=r"was not prepared"):
        await world.run("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)")


async def test_accounts_that_can_not_be_saved(world):
    world.lend_error = OSError(28, "No space left on device", "/home/x/accounts.json")
    with pytest.raises(RestartFailed, match=r"can't be saved: /home/x/accounts.json .* Free some disk space\.$"):
        await world.run(PREPARE)
    assert world.done == ["taken back"]


async def test_accounts_that_can_not_be_read_again(world, caplog):
    world.take_back_error = OSError(5, "Input/output error", "/home/x/accounts")
    with pytest.raises(RestartFailed, match="so the old one goes on"):
        await world.run("sys.exit(3)")
    assert "goes on with those in memory: /home/x/accounts can't be used: Input/output error." in caplog.text


@pytest.mark.parametrize("left", range(9))
async def test_with_few_descriptors_left(world, left):
    before = lowest_descriptor()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + left, hard))
    try:
        with pytest.raises(RestartFailed) as caught:
            await world.run("sys.exit(3)")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in str(caught.value) or left >= 5  # what is needed beside ours is up to Python
    assert lowest_descriptor() == before


def lowest_descriptor():
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    return lowest


async def test_a_simulated_daemon_on_a_full_disk_goes_on(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        home = disk.path / "home"
        codexctl = [sys.executable, "-m", "codexctl", "--socket", str(home / "control.sock")]
        codexd = [sys.executable, "-m", "codexd", "--simulate", "--home", str(home), "--port", "0"]
        with (tmp_path / "log").open("wb") as log:
            process = await trio.lowlevel.open_process(codexd, stdout=log, stderr=log)
        try:
            with trio.fail_after(20):
                while b"listening on" not in (tmp_path / "log").read_bytes():
                    await trio.sleep(0.05)
            disk.fill()
            failed = await trio.run_process([*codexctl, "restart"], capture_stderr=True, check=False)
            assert failed.returncode == 1
            assert b"so the old one goes on" in failed.stderr
            await trio.run_process([*codexctl, "status"], capture_stdout=True)
        finally:
            process.terminate()
            await process.wait()
        assert b"Traceback" not in (tmp_path / "log").read_bytes()


async def test_a_refresh_that_does_not_end(world, monkeypatch):
    monkeypatch.setattr(handover, "LEND_S", 0.1)
    world.lend_s = 1000
    with pytest.raises(RestartFailed, match=r"still being refreshed after 0\.1 s"):
        await world.run(PREPARE)
    assert world.done == ["taken back"]


async def test_a_stop_in_the_middle_ends_the_new_process(world):
    async def run(task_status):
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await world.run(PREPARE + "channel.recv(100)")

    async with trio.open_nursery() as nursery:
        scope = await nursery.start(partial(run))
        with trio.fail_after(20):
            while world.done != ["lent"]:
                await trio.sleep(0.01)
        scope.cancel()
    assert world.done == ["lent", "taken back"]
