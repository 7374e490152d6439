"""The screen of top, driven by keys: over a pipe in this process, and as a program at a terminal."""

import argparse
import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from prompt_toolkit.data_structures import Size as TerminalSize
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from support.control_server import NOW, auth_json, make_control, serving
from support.top_world import status, text_of

from codexctl.command import Invocation
from codexctl.top.model import NOTICE_S
from codexctl.top.screen import Top
from codexd.accounts.store.store import AccountStore
from codexd.api.records import LogEntry
from codexd.errors import RequestCancelled

ENTER, ESCAPE, DOWN, CTRL_C = "\r", "\x1b", "\x1b[B", "\x03"


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


class Viewer:
    """A top in a thread: the keys that it is given, and what it shows."""

    def __init__(self, control, typing, **environ):
        self._typing = typing
        self.drawn = io.StringIO()
        self._output = Vt100_Output(
            self.drawn, lambda: TerminalSize(rows=24, columns=80), term="xterm", enable_cpr=False
        )
        self._invocation = Invocation(control.places.socket, argparse.Namespace(), environ)
        self._top = None
        self.ahead_s = 0.0

    def run(self):
        asyncio.run(self._run())

    async def _run(self):
        self._top = Top(self._invocation, self._typing, self._output, lambda: time.time() + self.ahead_s)
        await self._top.run()

    def type(self, *keys):
        for key in keys:
            self._typing.send_text(key)

    @property
    def shown(self):
        return "\n".join(text_of(self._top.model, now=time.time())) if self._top else ""

    async def wait_for(self, text):
        with trio.move_on_after(10):
            while text not in self.shown:
                await trio.sleep(0.01)
            return
        raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")


@asynccontextmanager
async def top(control, **environ):
    """A top that knows its daemon; it must end by q."""
    with create_pipe_input() as typing:
        viewer = Viewer(control, typing, **environ)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.to_thread.run_sync, viewer.run, abandon_on_cancel=True))
            await viewer.wait_for("codexd 0.1.0")
            try:
                yield viewer
            finally:
                viewer.type("q")


async def test_requests_are_seen_from_their_beginning_to_their_end(control):
    async with serving(control), top(control) as viewer:
        with control.requests.record("req_4f1c2a", "POST", "/v1/messages", "claude-cli/2.1.3") as record:
            await viewer.wait_for("> 4f1c2a   waiting")
            record.note_model("claude-opus-5")
            record.note_model_used("gpt-5.5")
            record.note_asked("gpt-5.5", lambda: 1234)
            record.note_first_token(0.0)
            await viewer.wait_for("streaming   gpt-5.5")
            await viewer.wait_for("1,234")
            record.note_status(200)
        await viewer.wait_for("done 200")
        assert "0 running" in viewer.shown


async def test_a_request_is_cancelled(control):
    async with serving(control), top(control) as viewer:
        with control.requests.record("req_4f1c2a", "POST", "/v1/messages", "claude-cli/2.1.3") as record:
            record.note_running(record.note_failure)
            await viewer.wait_for("waiting")
            viewer.type("c")
            await viewer.wait_for("Cancel req_4f1c2a?")
            viewer.type("y")
            await viewer.wait_for("req_4f1c2a was cancelled.")
            assert record.info.error_kind == RequestCancelled.kind
        await viewer.wait_for("> 4f1c2a   cancelled")


async def test_an_account_is_switched(control, store):
    store.add(auth_json(), now=NOW)
    store.add(auth_json("home@example.com"), now=NOW)
    async with serving(control), top(control) as viewer:
        await viewer.wait_for("* work@example.com")
        viewer.type("s", DOWN)
        await viewer.wait_for("Switching to home@example.com costs nothing")
        assert store.active.email == "work@example.com"
        viewer.type(ENTER)
        await viewer.wait_for("home@example.com is now the active account.")
        await viewer.wait_for("* home@example.com")
        assert store.active.email == "home@example.com"


async def test_why(control):
    async with serving(control), top(control) as viewer:
        with control.requests.record("req_4f1c2a", "POST", "/v1/messages", "claude-cli/2.1.3") as record:
            record.note_running(record.note_failure)
            await viewer.wait_for("waiting")
            viewer.type(ENTER)
            await viewer.wait_for("claude-cli/2.1.3 sent POST /v1/messages")
            control.requests.cancel("req_4f1c2a")
        await viewer.wait_for("cancelled")  # asked again by itself while the request runs
        viewer.type(ESCAPE)
        await viewer.wait_for("LAST ERRORS")


async def test_errors_are_shown_as_they_come(control):
    async with serving(control), top(control) as viewer:
        for level in ("info", "warning"):
            control.logs.append(LogEntry(0, NOW, level, "codexd.test", f"a thing of {level}", None, {}))
        await viewer.wait_for("a thing of warning")
        assert "a thing of info" not in viewer.shown


async def test_a_daemon_that_ends_is_waited_for(control):
    with create_pipe_input() as typing:
        viewer = Viewer(control, typing)
        async with trio.open_nursery() as nursery:
            async with serving(control):
                nursery.start_soon(partial(trio.to_thread.run_sync, viewer.run, abandon_on_cancel=True))
                await viewer.wait_for("codexd 0.1.0")
                with control.requests.record("req_4f1c2a", "POST", "/v1/messages", "curl/8"):
                    await viewer.wait_for("4f1c2a")
            await viewer.wait_for("codexd has been away")
            assert "4f1c2a" in viewer.shown
            viewer.type("c", ENTER)
            await viewer.wait_for("codexd is not running")
            viewer.type(ESCAPE)
            async with serving(control):
                await viewer.wait_for("codexd is back.")
                with trio.fail_after(10):
                    while viewer._top.model.noticed[0] != "codexd is back.":  # it has been drawn
                        await trio.sleep(0.01)
                viewer.ahead_s = NOTICE_S
                await viewer.wait_for("enter why")  # without a key
                viewer.type("q")


async def test_without_colour(control):
    for environ, colour in (({}, True), ({"NO_COLOR": "1"}, False)):
        async with serving(control), top(control, **environ) as viewer:
            with control.requests.record("req_4f1c2a", "POST", "/v1/messages", "curl/8"):
                await viewer.wait_for("No account is signed in")
                with trio.fail_after(10):
                    while "signed" not in viewer.drawn.getvalue():
                        await trio.sleep(0.01)
        assert (";33m" in viewer.drawn.getvalue()) is colour
        assert viewer._top._app.color_depth == (ColorDepth.DEPTH_4_BIT if colour else ColorDepth.DEPTH_1_BIT)


@pytest.fixture
def scripted(daemon):
    daemon.answers |= {
        "daemon.status": status(),
        "accounts.list": {"accounts": [], "active": None},
        "requests.follow": {"subscription": 1},
        "logs.follow": {"subscription": 1},
    }
    return daemon


@pytest.mark.parametrize(("keys", "exit_status"), [("q", 0), (CTRL_C, 130)])
def test_at_a_terminal(scripted, terminal, keys, exit_status):
    shown = terminal("top")
    shown.wait_for("signed")
    assert "\x1b[?1049h" in shown.shown, "a screen of its own"
    shown.type(keys)
    assert shown.end() == exit_status
    assert "\x1b[?1049l" in shown.shown, "which is taken back"


def test_a_signal_leaves_the_terminal_in_order(scripted, terminal):
    shown = terminal("top")
    shown.wait_for("signed")
    os.kill(shown.process.pid, signal.SIGTERM)
    assert shown.end() == 0
    assert "\x1b[?1049l" in shown.shown


def test_without_a_daemon_the_screen_does_not_change(environ, terminal, tmp_path):
    shown = terminal("top", CODEXD_SOCKET=str(tmp_path / "none.sock"))
    assert shown.end() == 3
    assert "codexd is not running" in shown.shown
    assert "\x1b[?1049h" not in shown.shown


def test_in_a_pipe(scripted, piped):
    process = piped("top")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert "top needs a full-screen terminal. Without one, use: codexctl requests -f" in err.replace("\n", " ")


def test_as_json(scripted, terminal):
    shown = terminal("top", "--json")
    assert shown.end() == 2
    assert "top has no JSON output" in shown.shown.replace("\n", " ")


def test_at_a_terminal_that_can_not_draw(scripted, terminal):
    shown = terminal("top", TERM="dumb")
    assert shown.end() == 2
    assert "top needs a full-screen terminal" in shown.shown


def test_its_place_in_the_table_costs_nothing():
    code = "import sys, codexctl.top; print('prompt_toolkit' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
