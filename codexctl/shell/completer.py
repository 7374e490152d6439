"""Completion in the shell: ``codexctl.completion`` with what the shell knows about the daemon."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from codexctl.client import OlderDaemon
from codexctl.command import Command, Values
from codexctl.completion import Candidate, complete, find_values
from codexctl.render.text import cut, plain
from codexctl.shell.watch import Facts

META_WIDTH = 60


class ShellCompleter(Completer):
    """Answers at once, from the facts that :class:`Watch` keeps up to date."""

    def __init__(self, commands: Sequence[Command], facts: Callable[[], Facts]) -> None:
        self._commands = commands
        self._facts = facts

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002 - prompt_toolkit passes it
        text = document.text_before_cursor
        words = read_words(text)
        if words is None:
            return
        for word, meaning in self.candidates(words):
            yield Completion(
                shlex.quote(word), -raw_length(text), display=plain(word), display_meta=cut(plain(meaning), META_WIDTH)
            )

    def candidates(self, words: Sequence[str]) -> list[Candidate]:
        facts = self._facts()

        def lookup(kind: Values, given: Sequence[str]) -> Iterable[Candidate]:
            return find_files(words[-1]) if kind is Values.FILES else find_values(kind, given, facts)

        try:
            return complete(self._commands, words, lookup)
        except OlderDaemon:
            return []


def read_words(text: str) -> list[str] | None:
    """The words of ``text``; None inside quotes. The last word, which may be empty, is being typed."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not text or text[-1].isspace():
        words.append("")
    return words[1:] if words[0] == "codexctl" and len(words) > 1 else words


def raw_length(text: str) -> int:
    """The length of the word being typed, including quotes."""
    return 0 if not text or text[-1].isspace() else len(text.rsplit(maxsplit=1)[-1])


def find_files(current: str) -> Iterator[Candidate]:
    """The files in the folder that ``current`` names."""
    folder, _, start = current.rpartition("/")
    place = Path(folder or ("/" if current.startswith("/") else ".")).expanduser()
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return
    for entry in entries:
        if start.startswith(".") or not entry.name.startswith("."):
            above = f"{folder}/" if "/" in current else ""
            yield f"{above}{entry.name}{'/' if entry.is_dir() else ''}", ""
