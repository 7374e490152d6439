"""Restarting without losing a turn: a new process takes over the listening sockets, and then the old one drains.

The old process starts the new one with the same command. They talk over a pair of sockets:

1. new to old, ``prepared``: the program is loaded, and the settings are good.
2. old to new, ``take``: no refresh runs, the accounts are saved, and the old process only reads them from now on.
3. new to old, ``ready``: the new process serves. The old one takes no new connections and ends its turns.

If the new process fails or takes too long before that, the old one takes the accounts back and goes on. At no moment
is a connection refused, and at no moment may both refresh a login.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from pathlib import Path
from typing import Self

import trio
from attrs import asdict, define, fields_dict, frozen

from codexd import __version__, bounds
from codexd.accounts.store.lock import StoreLock
from codexd.api.daemon import Process, Service
from codexd.errors import RestartFailed
from codexd.files import explain
from codexd.service.line import Line
from codexd.service.listeners import CONTROL, HTTP, Adopted, Origin, adopt_descriptors
from codexd.settings.schema import ServerSettings

log = logging.getLogger("codexd.daemon")

VARIABLE = "CODEXD_HANDOVER"
"""The environment variable with the predecessor's ``Estate`` as JSON."""

PREPARE_S = 60.0
"""How long a new process may take to load: its files may be new, and the disk slow."""

LEND_S = 60.0
"""How long the refreshes that run may take to end; the sign-in server's own timeouts are shorter."""

TAKE_S = 30.0
"""How long a new process may take to open the accounts and to serve."""

TERM_S, KILL_S = 30.0, 5.0
"""How long a new process that is not wanted any more may take to end: it could be in the middle of a refresh."""

STDERR = 2

_MESSAGE_BYTES = 1000


@frozen
class Estate:
    """What the old process leaves to the new one.

    ``channel``: for the messages above. ``line``: for ``Line``. ``stderr``: the old process's standard error. These and
    ``lock``, ``http`` and ``control`` are descriptors that the new process inherits. ``origin``: where the listening
    sockets came from; ``host`` and ``port``: the settings by which they were opened. ``is_main``: systemd knows the
    daemon by its process id. ``manager``, ``unit``: the service that the daemon is. ``temporary_home``: a folder that
    the last of the two deletes.

    The two may be of different versions, so a field that is added needs a default, and none can be removed.
    """

    channel: int
    line: int | None
    lock: int
    stderr: int
    http: Sequence[int]
    control: int
    origin: str
    host: str
    port: int
    is_main: bool
    manager: str | None
    unit: str | None
    temporary_home: str | None

    @property
    def descriptors(self) -> tuple[int, ...]:
        own = (self.channel, self.lock, self.stderr, *self.http, self.control)
        return own if self.line is None else (*own, self.line)

    def fits(self, server: ServerSettings) -> bool:
        """Whether the HTTP sockets are where the settings want them. Those of a service manager always are."""
        return Origin(self.origin).is_manager or (self.host, self.port) == (server.host, server.port)


# -- the new process --------------------------------------------------------------------------------


class Predecessor:
    """The codexd that has started this one to take its place."""

    def __init__(self, estate: Estate) -> None:
        for descriptor in estate.descriptors:
            os.set_inheritable(descriptor, False)
        self._estate = estate
        self._channel = socket.socket(fileno=estate.channel)
        self.lock = StoreLock(estate.lock)
        self.line = Line(None if estate.line is None else socket.socket(fileno=estate.line), has_waiter=False)

    @classmethod
    def find(cls, environ: MutableMapping[str, str], pid: int) -> Self | None:
        """The predecessor, if there is one. ``environ`` is then as if this process, ``pid``, had been started first."""
        text = environ.pop(VARIABLE, None)
        if text is None:
            return None
        found = json.loads(text)
        estate = Estate(**{name: found[name] for name in fields_dict(Estate) if name in found})
        if estate.is_main:  # what systemd has said to the predecessor is meant for this process now
            environ.update({name: str(pid) for name in ("SYSTEMD_EXEC_PID", "WATCHDOG_PID") if name in environ})
        return cls(estate)

    @property
    def temporary_home(self) -> Path | None:
        home = self._estate.temporary_home
        return None if home is None else Path(home)

    @property
    def service(self) -> Service:
        """The service that this process has become. Whether it was activated is not known here."""
        return Service(self._estate.manager, self._estate.unit, activated=False)

    def adopt(self, server: ServerSettings) -> Adopted:
        """The predecessor's sockets. If the settings now name another address, that one is to be opened instead.

        Raises:
            AddressUnavailable
        """
        http = self._estate.http if self._estate.fits(server) else ()
        for unwanted in set(self._estate.http) - set(http):
            os.close(unwanted)
        passed = [*((HTTP, each) for each in http), (CONTROL, self._estate.control)]
        return adopt_descriptors(passed, Origin(self._estate.origin))

    async def take_over(self) -> None:
        """Wait until the accounts may be opened.

        Raises:
            RestartFailed: the predecessor has gone on alone, or is gone.
        """
        self._channel.send(b"prepared\n")
        await trio.lowlevel.wait_readable(self._channel)
        if self._channel.recv(_MESSAGE_BYTES) != b"take\n":
            raise RestartFailed("the codexd that this one was to replace goes on without it")

    def report_ready(self) -> None:
        """This process serves. Its log goes to where the predecessor's went."""
        os.dup2(self._estate.stderr, STDERR)
        os.close(self._estate.stderr)
        self.line.join()
        with closing(self._channel), suppress(OSError):  # the predecessor may have been killed
            self._channel.send(f"ready {__version__}\n".encode())


# -- the old process --------------------------------------------------------------------------------


@define(eq=False)
class Successor:
    """The new process, as seen by the old one."""

    process: trio.Process
    _channel: trio.SocketStream
    _stderr: trio.abc.ReceiveStream
    output: bytes = b""

    @classmethod
    async def start(
        cls, command: Sequence[str], environ: Mapping[str, str], make_estate: Callable[[int, int], Estate]
    ) -> Self:
        """Run ``command``. ``make_estate`` gets the descriptors of the channel and of the old standard error.

        Raises:
            RestartFailed: it can't be started.
        """
        with ExitStack() as undo, ExitStack() as given:
            try:
                own, end = socket.socketpair()
                undo.callback(own.close)
                given.callback(end.close)
                reading, writing = os.pipe()
                undo.callback(os.close, reading)
                given.callback(os.close, writing)
                stderr = _copy_stderr()
                given.callback(os.close, stderr)
                estate = make_estate(end.fileno(), stderr)
                process = await trio.lowlevel.open_process(
                    list(command),
                    env={**environ, VARIABLE: json.dumps(asdict(estate))},
                    pass_fds=estate.descriptors,
                    stderr=writing,
                    start_new_session=True,  # otherwise Ctrl-C would reach it twice: the first process passes it on
                )
            except (OSError, subprocess.SubprocessError) as error:
                reason = getattr(error, "strerror", None) or error
                raise RestartFailed(f"{command[0]} can't be started ({reason})") from None
            undo.pop_all()
        own.setblocking(False)
        return cls(process, trio.SocketStream(trio.socket.from_stdlib_socket(own)), trio.lowlevel.FdStream(reading))

    async def expect(self, word: str, within_s: float) -> str:
        """Wait for the message ``word``; return what follows it.

        Raises:
            RestartFailed: the process has ended, or takes too long.
        """
        message = b""
        with trio.move_on_after(within_s) as waiting, suppress(trio.BrokenResourceError):
            message = await self._channel.receive_some(_MESSAGE_BYTES)
        if waiting.cancelled_caught:
            raise RestartFailed(f"it was not {word} after {within_s:g} s")
        found, _, rest = message.decode(errors="replace").strip().partition(" ")
        if found != word:
            with trio.move_on_after(KILL_S):
                await self.process.wait()
            raise RestartFailed(self.last_words or _explain_end(self.process.returncode))
        return rest

    async def let_take(self) -> None:
        with suppress(trio.BrokenResourceError):  # it has ended, as ``expect`` will find out
            await self._channel.send_all(b"take\n")

    async def collect_output(self) -> None:
        """Keep what it writes to its standard error until it is ready or ends, then write it to ours."""
        async with self._stderr:
            async for data in self._stderr:
                self.output = (self.output + bytes(data))[-bounds.SUCCESSOR_OUTPUT_BYTES :]
        with suppress(OSError):
            await trio.to_thread.run_sync(os.write, STDERR, self.output, abandon_on_cancel=True)

    @property
    def last_words(self) -> str:
        """The error that it has reported, if any."""
        lines = [line.strip() for line in self.output.decode(errors="replace").splitlines() if line.strip()]
        reported = [line.removeprefix("codexd: ") for line in lines if line.startswith("codexd: ")]
        return (reported or lines or [""])[-1].removeprefix("error: ").rstrip(".")

    async def let_go(self) -> None:
        """It goes on without this process."""
        await trio.aclose_forcefully(self._channel)

    async def end(self) -> None:
        """End the process."""
        with trio.CancelScope(shield=True):
            await self._channel.aclose()
            for number, within_s in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
                if self.process.poll() is None:
                    self.process.send_signal(number)
                with trio.move_on_after(within_s):
                    await self.process.wait()


def _explain_end(status: int | None) -> str:
    """``status`` as of ``subprocess.Popen.returncode``: below zero for a signal."""
    if status is None:
        return "it did not end"
    if status >= 0:
        return f"it ended with status {status}"
    names = {each.value: each.name for each in signal.Signals}
    return f"it was killed by {names.get(-status, f'signal {-status}')}"


def _copy_stderr() -> int:
    try:
        return os.dup(STDERR)
    except OSError:  # it was closed when the process was started
        return os.open(os.devnull, os.O_WRONLY)


@frozen(eq=False)
class Handover:
    """How this daemon hands over.

    ``command`` starts a new process; it is empty if codexd is only a part of another program. ``make_estate`` gets the
    descriptors of the channel and of the standard error. ``lend`` gives up all that only one process may write, and
    ``take_back``, which may raise OSError, takes it again. ``background`` is a nursery that lives as long as the
    daemon.
    """

    command: Sequence[str]
    environ: Mapping[str, str]
    line: Line
    background: trio.Nursery
    make_estate: Callable[[int, int], Estate]
    lend: Callable[[], Awaitable[None]]
    take_back: Callable[[], None]

    async def run(self) -> Process:
        """Start a new process that takes over. If that fails, this one goes on as before.

        Raises:
            RestartFailed: says why.
        """
        if not self.command:
            raise RestartFailed("codexd can't be restarted: it runs inside another program")
        async with AsyncExitStack() as undo:
            undo.callback(self.line.withdraw)
            try:
                successor = await Successor.start(self.command, self.environ, self.make_estate)
                undo.callback(self._take_back)
                undo.push_async_callback(successor.end)
                self.background.start_soon(successor.collect_output)
                version = await self._guide(successor)
            except RestartFailed as error:
                raise RestartFailed(f"The new codexd did not start, so the old one goes on: {error}.") from None
            undo.pop_all()
        await successor.let_go()
        self.line.hand_over(successor.process.pid)
        return Process(successor.process.pid, version)

    def _take_back(self) -> None:
        try:
            self.take_back()
        except OSError as error:
            log.error("the accounts can't be read again, so codexd goes on with those in memory: %s", explain(error))  # noqa: TRY400 - no bug

    async def _guide(self, successor: Successor) -> str:
        """Lead the new process through its start; return its version."""
        await successor.expect("prepared", PREPARE_S)
        try:
            with trio.fail_after(LEND_S):
                await self.lend()
        except trio.TooSlowError:
            raise RestartFailed(f"a login was still being refreshed after {LEND_S:g} s") from None
        except OSError as error:
            raise RestartFailed(f"the accounts can't be saved: {explain(error).rstrip('.')}") from None
        await successor.let_take()
        return await successor.expect("ready", TAKE_S)
