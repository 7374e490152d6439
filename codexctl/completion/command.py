"""``codexctl completion``, and the ``codexctl __complete -- WORDS`` that its scripts ask at each Tab."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.commands import load_commands
from codexctl.completion.candidates import Candidate, complete
from codexctl.completion.scripts import SCRIPTS
from codexctl.completion.values import find_values
from codexctl.invocation import Command, Invocation, Values, argument
from codexctl.render.base import Json, plain
from codexd.paths import find_socket

FILES = ":files"
"""Printed in the place of candidates: the shell is to complete a file's name."""

PATIENCE_S = 1.0
"""Who presses Tab would rather get nothing than wait."""

LISTED_REQUESTS = 50


def print_candidates(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """The candidates for the last of ``words``, each on a line with what it means after a tab."""
    words = words[1:] if words[:1] == ["--"] else words
    lookup = _Lookup(_Daemon(_find_socket(words, environ)))
    found = complete(load_commands(), words, lookup)
    lines = [FILES] if lookup.wants_files else [f"{plain(word)}\t{plain(meaning)}" for word, meaning in found]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _find_socket(words: Sequence[str], environ: Mapping[str, str]) -> Path:
    """That of the daemon which the command will ask."""
    for word, following in pairwise(words):
        if word == "--socket":
            return Path(following).expanduser()
        if word.startswith("--socket="):
            return Path(word.removeprefix("--socket=")).expanduser()
    return find_socket(environ)


class _Lookup:
    """The values of arguments, for which the daemon is asked. ``wants_files``: the shell itself has them."""

    def __init__(self, daemon: _Daemon) -> None:
        self._daemon = daemon
        self.wants_files = False

    def __call__(self, kind: Values, given: Sequence[str]) -> Iterable[Candidate]:
        if kind is Values.FILES:
            self.wants_files = True
            return ()
        return find_values(kind, given, self._daemon)


class _Daemon:
    """What is known of it (``values.Known``), asked for when it is needed: nothing where there is no answer."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._deadline = time.monotonic() + PATIENCE_S

    @cached_property
    def accounts(self) -> Sequence[Json]:
        return self._ask("accounts.list", "accounts")

    @cached_property
    def settings(self) -> Sequence[Json]:
        return self._ask("settings.list", "settings")

    @cached_property
    def requests(self) -> Sequence[Json]:
        return self._ask("requests.list", "requests", {"limit": LISTED_REQUESTS})

    @cached_property
    def models(self) -> Sequence[Json]:
        return self._ask("accounts.models", "models")

    @cached_property
    def free_models(self) -> Sequence[Json]:
        return self._ask("kilo.models", "models")

    def _ask(self, method: str, name: str, params: dict[str, Any] | None = None) -> Sequence[Json]:
        left_s = self._deadline - time.monotonic()
        if left_s > 0:
            with suppress(NoDaemon, Refused), ControlClient(self._socket, reply_timeout_s=left_s) as client:
                listed: Sequence[Json] = client.call(method, params)[name]
                return listed
        return ()


def _print_script(invocation: Invocation) -> None:
    script = SCRIPTS[invocation.arguments.shell]
    result: Any = {"shell": invocation.arguments.shell, "script": script}
    invocation.show(result, lambda shown, _style: [shown["script"].rstrip("\n")])


COMPLETION_COMMANDS = (
    Command(
        ("completion",),
        "Print a script that lets the Tab key complete commands",
        "codexctl completion bash",
        _print_script,
        (argument("shell", choices=tuple(SCRIPTS), help="the shell that is to read it"),),
        details="bash: add `source <(codexctl completion bash)` to ~/.bashrc. zsh: add `source <(codexctl completion "
        "zsh)` to ~/.zshrc, after compinit. fish: save it as ~/.config/fish/completions/codexctl.fish. It completes "
        "account names, settings and their values from the running daemon too.",
    ),
)
