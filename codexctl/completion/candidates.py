"""What can be typed next, from the table of commands alone. Pure; the values of arguments are looked up elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from codexctl.invocation import Argument, Command, Values, argument

Candidate: TypeAlias = tuple[str, str]
"""A word, and what it means."""

Lookup: TypeAlias = Callable[[Values, Sequence[str]], Iterable[Candidate]]
"""Gives the values of a kind, from the words that were given for the arguments before."""

COMMON = (
    argument("-h", "--help", action="help", help="show what can be given"),
    argument("--json", action="store_true", help="print JSON"),
    argument("--socket", metavar="PATH", help="control socket of the daemon", values=Values.FILES),
)
VERSION = argument("--version", action="version", help="show the version")
ALL_THE_REST = "..."
"""The words from here on belong to another program (``argparse.REMAINDER``)."""

_WITHOUT_VALUE = ("store_true", "help", "version")


def complete(commands: Iterable[Command], words: Sequence[str], lookup: Lookup) -> list[Candidate]:
    """What the last of ``words`` may become, the words before it being complete."""
    *before, current = words or [""]
    state = _State(list(commands))
    for word in before:
        state.take(word)
    name, equals, value = current.partition("=")
    if equals and (option := state.find_option(name)):
        found = [(f"{name}={word}", meaning) for word, meaning in _values(option, state.given, lookup)]
        return [candidate for candidate in found if candidate[0].startswith(f"{name}={value}")]
    return [candidate for candidate in state.candidates(current, lookup) if candidate[0].startswith(current)]


class _State:
    """How far the words typed so far have come."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = commands
        self._path: tuple[str, ...] = ()
        self._command: Command | None = None
        self._open: Argument | None = None
        """An option whose value comes next."""
        self._used: set[str] = set()
        self._only_values = False
        self.given: list[str] = []
        """For arguments without a name."""

    def take(self, word: str) -> None:
        if self._open is not None:
            self._open = None
        elif word == "--" and not self._only_values:
            self._only_values = True
        elif word.startswith("-") and not self._only_values:
            self._take_option(word)
        elif not self.given and word in dict(self._next_words()):
            self._path = (*self._path, word)
            self._command = next((each for each in self._commands if each.words == self._path), None)
        else:
            self.given.append(word)

    def _take_option(self, word: str) -> None:
        name, equals, _ = word.partition("=")
        if option := self.find_option(name):
            self._used |= set(option.names)
            self._open = option if not equals and _takes_value(option) else None

    def candidates(self, current: str, lookup: Lookup) -> Iterator[Candidate]:
        if self._open is not None:
            yield from _values(self._open, self.given, lookup)
            return
        if any(each.options.get("nargs") == ALL_THE_REST for each in self._arguments()):
            return
        if current.startswith("-") and not self._only_values:
            yield from self._option_names()
            return
        if not self.given:
            yield from self._next_words()
        if (place := self._next_place()) is not None:
            yield from _values(place, self.given, lookup)

    def find_option(self, name: str) -> Argument | None:
        return next((option for option in self._options() if name in option.names), None)

    def _next_words(self) -> Iterator[Candidate]:
        depth = len(self._path)
        for command in self._commands:
            if command.words[:depth] == self._path and len(command.words) == depth + 1:
                yield command.words[depth], command.summary

    def _arguments(self) -> tuple[Argument, ...]:
        return (*self._command.arguments, *self._command.alternatives) if self._command else ()

    def _options(self) -> list[Argument]:
        own = [each for each in self._arguments() if _is_option(each)]
        return [*own, *COMMON, *([] if self._path else [VERSION])]

    def _option_names(self) -> Iterator[Candidate]:
        """The long names of those that may still be given."""
        alternatives = self._command.alternatives if self._command else ()
        is_placed = bool(self.given) and any(not _is_option(each) for each in alternatives)
        excluded = alternatives if is_placed or self._is_named(alternatives) else ()
        for option in self._options():
            if option not in excluded and not self._is_named([option]):
                yield max(option.names, key=len), str(option.options.get("help", ""))

    def _next_place(self) -> Argument | None:
        """The argument without a name that comes next."""
        if self._command is None:
            return None
        alternatives = () if self._is_named(self._command.alternatives) else self._command.alternatives
        places = [each for each in (*self._command.arguments, *alternatives) if not _is_option(each)]
        return places[len(self.given)] if len(self.given) < len(places) else None

    def _is_named(self, options: Iterable[Argument]) -> bool:
        """Whether one of them has been given by name."""
        return any(self._used & set(each.names) for each in options)


def _is_option(each: Argument) -> bool:
    return each.names[0].startswith("-")


def _takes_value(option: Argument) -> bool:
    return option.options.get("action") not in _WITHOUT_VALUE


def _values(place: Argument, given: Sequence[str], lookup: Lookup) -> Iterable[Candidate]:
    if "choices" in place.options:
        return [(str(choice), "") for choice in place.options["choices"]]
    return lookup(place.values, given) if place.values else ()
