"""``codexctl completion``, and the ``codexctl __complete -- WORDS`` that its scripts ask at each Tab."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from codexctl import completion_scripts
from codexctl.candidates import Candidate, complete
from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.commands import load_commands
from codexctl.invocation import Command, Invocation, Values, argument
from codexctl.render.base import plain
from codexd.paths import find_socket

FILES = ":files"
"""Printed in the place of candidates: the shell is to complete a file's name."""

REPLY_TIMEOUT_S = 1.0
"""Who presses Tab would rather get nothing than wait."""

LISTED_REQUESTS = 50


def print_candidates(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """The candidates for the last of ``words``, each on a line with what it means after a tab."""
    words = words[1:] if words[:1] == ["--"] else words
    lookup = _Lookup(_find_socket(words, environ))
    found = complete(load_commands(), words, lookup)
    lines = [FILES] if lookup.wants_files else [f"{plain(word)}\t{plain(meaning)}" for word, meaning in found]
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _find_socket(words: Sequence[str], environ: Mapping[str, str]) -> Path:
    """Of the daemon that the command will ask."""
    for word, following in pairwise(words):
        if word == "--socket":
            return Path(following).expanduser()
        if word.startswith("--socket="):
            return Path(word.removeprefix("--socket=")).expanduser()
    return find_socket(environ)


class _Lookup:
    """Asks the daemon; without one there are no candidates."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.wants_files = False

    def __call__(self, kind: Values, given: Sequence[str]) -> list[Candidate]:
        if kind is Values.FILES:
            self.wants_files = True
            return []
        with suppress(NoDaemon, Refused), ControlClient(self._socket, reply_timeout_s=REPLY_TIMEOUT_S) as client:
            return list(_READERS[kind](client, given))
        return []


def _accounts(client: ControlClient, _given: Sequence[str]) -> Iterator[Candidate]:
    listed = client.call("accounts.list")["accounts"]
    sharing = Counter(account["email"] for account in listed)
    for account in listed:
        words = [account["plan"], account["state"], *(["active"] if account["active"] else [])]
        if account["email"] and sharing[account["email"]] == 1:
            yield account["email"], ", ".join(words)
        else:
            yield account["id"], ", ".join([account["email"], *words])


def _settings(client: ControlClient, _given: Sequence[str]) -> Iterator[Candidate]:
    for setting in client.call("settings.list")["settings"]:
        yield setting["name"], setting["meaning"]


def _setting_values(client: ControlClient, given: Sequence[str]) -> Iterator[Candidate]:
    setting = client.call("settings.get", {"name": given[-1]})
    if setting["secret"]:
        return
    if setting["type"] == "boolean":
        yield from (("true", ""), ("false", ""))
    for choice in setting["choices"] or ():
        yield choice, ""
    for value, meaning in ((setting["value"], "as it is now"), (setting["default"], "the default")):
        if isinstance(value, str | int | float) and not isinstance(value, bool) and not setting["choices"]:
            yield str(value), meaning
    if given[-1].startswith("models."):
        yield from _models(client, given)
    if given[-1] == "kilo.model":
        yield from ((model["id"], model["name"]) for model in client.call("kilo.models")["models"])


def _requests(client: ControlClient, _given: Sequence[str]) -> Iterator[Candidate]:
    """The newest first."""
    for request in reversed(client.call("requests.list", {"limit": LISTED_REQUESTS})["requests"]):
        yield request["id"], f"{request['state']}, {request['model'] or 'no model'}, from {request['client']}"


def _models(client: ControlClient, _given: Sequence[str]) -> Iterator[Candidate]:
    for model in client.call("accounts.models")["models"]:
        if model["listed"]:
            yield model["id"], model["name"]


_READERS: Mapping[Values, Callable[[ControlClient, Sequence[str]], Iterator[Candidate]]] = {
    Values.ACCOUNTS: _accounts,
    Values.SETTINGS: _settings,
    Values.SETTING_VALUES: _setting_values,
    Values.REQUESTS: _requests,
    Values.MODELS: _models,
}


def _print_script(invocation: Invocation) -> None:
    script = completion_scripts.SCRIPTS[invocation.arguments.shell]
    result: Any = {"shell": invocation.arguments.shell, "script": script}
    invocation.show(result, lambda shown, _style: [shown["script"].rstrip("\n")])


COMPLETION_COMMANDS = (
    Command(
        ("completion",),
        "Print a script that lets the Tab key complete commands",
        "codexctl completion bash",
        _print_script,
        (argument("shell", choices=tuple(completion_scripts.SCRIPTS), help="the shell that is to read it"),),
        details="bash: add `source <(codexctl completion bash)` to ~/.bashrc. zsh: add `source <(codexctl completion "
        "zsh)` to ~/.zshrc, after compinit. fish: save it as ~/.config/fish/completions/codexctl.fish. It completes "
        "account names, settings and their values from the running daemon too.",
    ),
)
