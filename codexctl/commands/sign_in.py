"""``codexctl accounts add``: a sign-in from start to end."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from codexctl.browser import has_browser, open_page
from codexctl.client import REPLY_TIMEOUT_S, ControlClient, NoDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Invocation, Stop
from codexctl.render import accounts as render_accounts
from codexctl.render.accounts import Browser
from codexctl.render.qr import qr_code
from codexctl.render.text import Style
from codexctl.terminal import LineInput, Spinner, has_input_terminal, hidden_input, prompt, say
from codexd import rpc

PROMPT = "Address or code: "

LINES_BESIDE_CODE = 8
"""The lines of a screen that a QR code leaves to what stands above and below it."""


def sign_in(invocation: Invocation) -> None:
    given = invocation.arguments
    if given.cancel:
        invocation.show(invocation.call("accounts.login.cancel"), render_accounts.cancelled_sign_ins)
        return
    method = "device" if given.device else "manual" if given.no_browser else "browser"
    with _ended_by_signals(), invocation.connect(doing="asking for a sign-in") as client, ExitStack() as on_failure:
        flow = client.call("accounts.login.start", {"method": method})
        on_failure.callback(_cancel, invocation.socket, flow["flow"])
        source = None if method == "device" else LineInput.open()
        _announce(invocation, flow, source)
        result = _Wait(invocation, client, flow, source).run()
        on_failure.pop_all()
        if invocation.as_json:
            invocation.write([json.dumps(result)])
        else:
            listed = client.call("accounts.list")
            invocation.write(render_accounts.signed_in(result, listed, invocation.style()))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End by an exception, which cancels the sign-in, if the terminal closes or the program is asked to stop."""
    signals = (signal.SIGHUP, signal.SIGTERM)
    caught = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, _end_by_signal) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _cancel(socket: Path, flow: str) -> None:
    """On a new connection: the old one may have been interrupted in the middle of a message."""
    with suppress(NoDaemon, Refused, OSError), ControlClient(socket) as client:  # OSError: the terminal is closed
        if client.call("accounts.login.cancel", {"flow": flow})["cancelled"]:
            say("the sign-in was cancelled.")


def _announce(invocation: Invocation, flow: Mapping[str, Any], source: LineInput | None) -> None:
    if invocation.as_json:
        invocation.write([json.dumps(flow)])
        return
    browser = _find_browser(invocation)
    can_paste = source is not None and has_input_terminal()
    style = invocation.style()
    shown = render_accounts.instructions(flow, style, browser=browser, can_paste=can_paste)
    invocation.write([*shown, *_draw(flow, style, invocation.environ)])
    if flow["method"] == "browser" and browser is Browser.CODEXCTL and not open_page(flow["url"], invocation.environ):
        say("no browser could be opened; open the address yourself.")


def _draw(flow: Mapping[str, Any], style: Style, environ: Mapping[str, str]) -> list[str]:
    """The address as a QR code, where the user may have to open it on another device."""
    if not style.colour or not (flow["method"] == "device" or environ.get("SSH_CONNECTION")):
        return []
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    code = qr_code(flow["url"], columns, lines - LINES_BESIDE_CODE)
    return [*code, ""] if code else []


def _find_browser(invocation: Invocation) -> Browser:
    if not has_browser(invocation.environ, sys.platform):
        return Browser.NOBODY_HERE
    return Browser.CODEXCTL if sys.stdout.isatty() else Browser.USER


class _Wait:
    """Waits until ``flow`` ends, and passes on what the user pastes meanwhile."""

    def __init__(
        self, invocation: Invocation, client: ControlClient, flow: Mapping[str, Any], source: LineInput | None
    ) -> None:
        self._client = client
        self._flow = flow
        self._source = source
        self._is_manual = flow["method"] == "manual"
        self._as_json = invocation.as_json
        self._spinner = Spinner(invocation.environ)
        self._waiting = client.begin("accounts.login.wait", {"flow": flow["flow"]})
        self._pasted = 0
        self._complaint = ""

    def run(self) -> Any:
        """The result of ``accounts.login.wait``, or of the ``.complete`` that ended the flow."""
        with hidden_input(None if self._is_manual else self._source):
            try:
                return self._run()
            finally:
                if self._is_manual:
                    self._prompt("\n")
                else:
                    self._spinner.clear()

    def _run(self) -> Any:
        self._prompt(PROMPT)
        while True:
            for reply in self._next_replies():
                match reply:
                    case rpc.Result(_, result):
                        return result
                    case rpc.Failure(id_) as failure if id_ in (self._waiting, None):
                        raise self._end(failure)
                    case rpc.Failure(_, _, message):
                        self._complain(message)

    def _next_replies(self) -> list[rpc.Result | rpc.Failure]:
        """Wait a moment for the daemon and for the user."""
        left_s = self._flow["expires_at"] - time.time()
        if left_s < -REPLY_TIMEOUT_S:
            raise NoDaemon("the sign-in has expired, but codexd did not end it. Its log may say why.")
        if not self._is_manual:
            self._spinner.turn(render_accounts.waiting(self._flow, left_s))
        inputs = [self._client.fileno(), *([self._source.fileno()] if self._source else [])]
        ready, _, _ = select.select(inputs, (), (), Spinner.TURN_S)
        if self._source and self._source.fileno() in ready:
            self._read_lines(self._source)
        if self._client.fileno() in ready:
            return self._client.read_replies()
        self._client.check_alive()
        return []

    def _read_lines(self, source: LineInput) -> None:
        lines = source.read()
        if lines is None:
            self._source = None
            self._check_input()
            return
        for line in filter(None, lines):
            self._client.begin("accounts.login.complete", {"flow": self._flow["flow"], "input": line})
            self._pasted += 1
        if not any(lines):
            self._prompt(PROMPT)

    def _complain(self, message: str) -> None:
        self._pasted -= 1
        self._complaint = message
        self._spinner.clear()
        say(message)
        self._check_input()
        self._prompt(PROMPT)

    def _check_input(self) -> None:
        """Without input, a manual sign-in can't end."""
        if self._is_manual and self._source is None and not self._pasted:
            raise Stop(EXIT_USAGE, "the input ended before an address or a code was entered.")

    def _prompt(self, text: str) -> None:
        """Write ``text`` on the line where the user types, if this sign-in has one."""
        if self._is_manual and has_input_terminal():
            prompt(text)

    def _end(self, failure: rpc.Failure) -> Exception:
        """The error that ends the sign-in; without a text if it was already printed as a complaint."""
        is_shown = failure.message == self._complaint and not self._as_json
        return Stop(EXIT_REFUSED) if is_shown else Refused(failure)
