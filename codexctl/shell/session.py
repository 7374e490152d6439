"""The interactive shell, at a prompt_toolkit prompt. Commands run in this process."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.shortcuts import CompleteStyle

from codexctl.cli import build_parser, parse, report, run_command
from codexctl.client import NoDaemon, OlderDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, argument
from codexctl.commands import load_commands
from codexctl.commands.clients import RUN
from codexctl.commands.daemon import LEVELS
from codexctl.daemons import name_older
from codexctl.render import daemon as render_daemon
from codexctl.render.format import Json
from codexctl.shell.completer import ShellCompleter
from codexctl.shell.history import PrivateHistory
from codexctl.shell.prompt import STYLE, greeting, hint, make_key_bindings, overview, toolbar
from codexctl.shell.watch import LogTail, Watch
from codexctl.terminal import say
from codexd.paths import find_places

PROMPT = "codexctl> "
HISTORY_FILE = "shell-history"
DEFAULT_LEVEL = "warning"
EXIT_INTERRUPTED = 130


class Leave(Exception):
    """The user wants to leave the shell. ``status`` is the exit status of the command before that."""

    def __init__(self, status: int = 0) -> None:
        super().__init__(status)
        self.status = status


def run_shell(invocation: Invocation) -> None:
    """Run commands until the end of the input.

    Raises:
        Stop: without a terminal, with the exit status of the last command unless that is 0.
    """
    shell = Shell(invocation)
    if sys.stdin.isatty() and sys.stdout.isatty():
        shell.run()
        return
    try:
        status = shell.run_lines(sys.stdin)
    except Leave as left:
        status = left.status
    if status:
        raise Stop(status)


class Shell:
    """One session. ``commands`` holds codexctl's commands and the shell's own."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        own = self._own_commands()
        replaced = {command.words for command in own}
        self.commands = (*(each for each in load_commands() if each.words not in replaced), *own)
        self._parser = build_parser(self.commands)
        self._watch = Watch(invocation.socket, say, lambda: get_app().invalidate())
        self._tail: LogTail | None = None

    def run(self) -> None:
        """Run the session at a terminal."""
        self._follow_logs(DEFAULT_LEVEL)
        self._greet()
        session = self._make_session()
        try:
            while (text := asyncio.run(self._read(session))) is not None:
                self.run_lines(text.splitlines())
        except Leave:
            return

    def run_lines(self, lines: Iterable[str]) -> int:
        """Run each of ``lines``, and return the exit status of the last.

        Raises:
            Leave
        """
        status = 0
        try:
            for line in lines:
                status = self.run_line(line)
        except Leave:
            raise Leave(status) from None
        return status

    def run_line(self, line: str) -> int:
        """Run one command and return its exit status. The session goes on even if it fails.

        Raises:
            Leave: the command leaves the shell.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            say(f"can't read the line: {error}. Quote any text that contains spaces or quotes.")
            return EXIT_USAGE
        words = words[1:] if words[:1] == ["codexctl"] else words
        if not words:
            return 0
        try:
            return self._run_words(words)
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            return EXIT_INTERRUPTED

    def _run_words(self, words: list[str]) -> int:
        if tuple(words[: len(RUN)]) == RUN:
            return self._run_apart(words)
        words = [*(["--json"] if self._invocation.as_json else []), *words]
        try:
            parsed = parse(self._parser, words, words, self.commands)
        except Stop as stop:
            return report(stop, as_json="--json" in words)
        except SystemExit:  # it asked for help
            return 0
        command: Command | None = getattr(parsed, "command", None)
        if command is None or command.words == ("shell",):
            say("you are already in the shell. `help` lists its commands.")
            return EXIT_USAGE
        socket = getattr(parsed, "socket", None) or self._invocation.socket
        return _run_safely(command, Invocation(socket.absolute(), parsed, self._invocation.environ))

    def _run_apart(self, words: list[str]) -> int:
        """Run a command that becomes another program in a separate process, which gets each Ctrl-C."""
        environ = {**self._invocation.environ, "CODEXD_SOCKET": str(self._invocation.socket)}
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            return subprocess.run([sys.executable, "-m", "codexctl", *words], env=environ, check=False).returncode  # noqa: S603 - this program
        finally:
            signal.signal(signal.SIGINT, before)

    # -- the prompt

    def _make_session(self) -> PromptSession[str]:
        history = find_places(self._invocation.environ).state_dir / HISTORY_FILE
        return PromptSession(
            [("class:prompt", PROMPT)],
            history=PrivateHistory(history),
            completer=ShellCompleter(self.commands, lambda: self._watch.facts),
            auto_suggest=AutoSuggestFromHistory(),
            bottom_toolbar=self._toolbar,
            key_bindings=make_key_bindings(self.help),
            style=STYLE,
            complete_style=CompleteStyle.COLUMN,
            enable_suspend=True,
        )

    async def _read(self, session: PromptSession[str]) -> str | None:
        """The typed line; None for Ctrl-D. Until then, log entries and news of the daemon appear above the prompt."""
        with patch_stdout(raw=True):
            async with asyncio.TaskGroup() as background:
                tasks = [background.create_task(self._watch.keep_facts())]
                tasks += [background.create_task(self._tail.run())] if self._tail else []
                try:
                    return await session.prompt_async()
                except KeyboardInterrupt:
                    return ""
                except EOFError:
                    return None
                finally:
                    for task in tasks:
                        task.cancel()

    def _toolbar(self) -> StyleAndTextTuples:
        width = get_app().output.get_size().columns
        return [*toolbar(self._watch.facts, self._tail.level if self._tail else None, width, time.time())]

    def _greet(self) -> None:
        style = self._invocation.style()
        try:
            self._invocation.write(greeting(self._invocation.call("daemon.status"), style))
        except OlderDaemon as error:
            say(str(name_older(self._invocation.socket, error)))
        except (NoDaemon, Refused):  # Watch will report it
            pass
        self._invocation.write(hint(style, self._tail.level if self._tail else None))

    def _show_entry(self, entry: Json) -> None:
        self._invocation.write(render_daemon.log_entry(entry, self._invocation.style()))

    # -- the shell's own commands

    def _own_commands(self) -> tuple[Command, ...]:
        words = argument("words", nargs="*", metavar="COMMAND", help="the command to explain")
        level = argument(
            "log_level", nargs="?", choices=LEVELS, default="info", help="lowest level to show (default info)"
        )
        leave = "Leave the shell; codexd keeps running"
        return (
            Command(("logs", "on"), "Show log entries above the prompt", "logs on debug", self._logs_on, (level,)),
            Command(("logs", "off"), "Stop showing log entries", "logs off", self._logs_off),
            Command(("help",), "Show the commands and keys", "help accounts switch", self._help, (words,)),
            Command(("exit",), leave, "exit", _leave),
            Command(("quit",), leave, "quit", _leave),
        )

    def _logs_on(self, invocation: Invocation) -> None:
        self._follow_logs(invocation.arguments.log_level)

    def _logs_off(self, _invocation: Invocation) -> None:
        self._tail = None

    def _follow_logs(self, level: str) -> None:
        self._tail = LogTail(self._invocation.socket, level, self._show_entry, say)

    def _help(self, invocation: Invocation) -> None:
        self.help(invocation.arguments.words)

    def help(self, words: list[str]) -> None:
        """Show help for the command that ``words`` begin with, or for all commands."""
        known = {command.words for command in self.commands}
        while words and tuple(words) not in known:
            words = words[:-1]
        if not words:
            self._invocation.write(overview(self.commands, self._invocation.style()))
            return
        try:
            self._parser.parse_args([*words, "--help"])
        except SystemExit:
            return


def _leave(_invocation: Invocation) -> None:
    raise Leave


def _run_safely(command: Command, invocation: Invocation) -> int:
    try:
        return run_command(command, invocation)
    except (Leave, KeyboardInterrupt):
        raise
    except Exception:  # noqa: BLE001 - a bug in one command must not end the session
        traceback.print_exc()
        say("this is a bug in codexctl. The shell goes on.")
        return EXIT_REFUSED
