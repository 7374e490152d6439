"""What can be typed next: for the Tab key of bash, zsh and fish, and for ``codexctl shell``. Pure.

The words and options come from the table of commands. A command says what its argument stands for
(``argument(..., values=Values.ACCOUNTS)``), and :func:`find_values` finds the values among what the daemon knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from codexctl.command import Argument, Command, Values, argument
from codexctl.render.format import Json, state_words
from codexctl.render.settings import value_text

Candidate: TypeAlias = tuple[str, str]
"""A word and its meaning."""

Lookup: TypeAlias = Callable[[Values, Sequence[str]], Iterable[Candidate]]
"""Finds the values of a kind, given the previous arguments."""

COMMON = (
    argument("-h", "--help", action="help", help="show this help"),
    argument("--json", action="store_true", help="print JSON"),
    argument("--socket", metavar="PATH", help="control socket of the daemon", values=Values.FILES),
)
VERSION = argument("--version", action="version", help="show the version")
REMAINDER = "..."
"""All words from here on belong to another program (``argparse.REMAINDER``)."""

_ACTIONS_WITHOUT_VALUE = ("store_true", "help", "version")


def complete(commands: Iterable[Command], words: Sequence[str], lookup: Lookup) -> list[Candidate]:
    """What the last of ``words`` may become; the words before it are complete."""
    if words[:1] == ["help"] and len(words) > 1:
        return complete(commands, words[1:], lambda _kind, _given: ())
    *before, current = words or [""]
    position = _Position(list(commands))
    for word in before:
        position.take(word)
    name, equals, value = current.partition("=")
    if equals and (option := position.find_option(name)):
        found = [(f"{name}={word}", meaning) for word, meaning in _values(option, position.given, lookup)]
        return [candidate for candidate in found if candidate[0].startswith(f"{name}={value}")]
    return [candidate for candidate in position.candidates(current, lookup) if candidate[0].startswith(current)]


def find_unknown(commands: Iterable[Command], words: Sequence[str]) -> tuple[str, tuple[str, ...], list[str]] | None:
    """The first of ``words`` that can't stand where it does, the words of the command before it, and what could."""
    position = _Position(list(commands))
    for word in words:
        if not position.takes(word):
            return word, position.path, position.names(word)
        position.take(word)
    return None


class _Position:
    """Where the words typed so far have got to in the grammar of the commands."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._commands = commands
        self._path: tuple[str, ...] = ()
        self._command: Command | None = None
        self._awaiting_value: Argument | None = None
        """The option whose value comes next, if any."""
        self._used: set[str] = set()
        self._only_values = False
        self.given: list[str] = []
        """Positional arguments."""

    def take(self, word: str) -> None:
        if self._awaiting_value is not None:
            self._awaiting_value = None
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
            self._awaiting_value = option if not equals and _takes_value(option) else None

    @property
    def path(self) -> tuple[str, ...]:
        return self._path

    def takes(self, word: str) -> bool:
        """Whether ``word`` can come next."""
        if self._awaiting_value is not None or self._only_values or self._takes_anything():
            return True
        if word.startswith("-") and word != "-":
            name, _, _ = word.partition("=")
            return word == "--" or any(self.find_option(each) for each in (name, name[:2]))
        return self._next_positional() is not None or (not self.given and word in dict(self._next_words()))

    def names(self, word: str) -> list[str]:
        """The words or options that could stand where ``word`` does."""
        if word.startswith("-"):
            return [name for option in self._options() for name in option.names]
        return [] if self.given else [name for name, _ in self._next_words()]

    def _takes_anything(self) -> bool:
        return any(each.options.get("nargs") == REMAINDER for each in self._arguments())

    def candidates(self, current: str, lookup: Lookup) -> Iterator[Candidate]:
        if self._awaiting_value is not None:
            yield from _values(self._awaiting_value, self.given, lookup)
            return
        if self._takes_anything():
            return
        if current.startswith("-") and not self._only_values:
            yield from self._option_names()
            return
        if not self.given:
            yield from self._next_words()
        if (positional := self._next_positional()) is not None:
            yield from _values(positional, self.given, lookup)

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
        """The long names of the options that may still be given."""
        alternatives = self._command.alternatives if self._command else ()
        is_given = bool(self.given) and any(not _is_option(each) for each in alternatives)
        excluded = alternatives if is_given or self._is_named(alternatives) else ()
        for option in self._options():
            if option not in excluded and not self._is_named([option]):
                yield max(option.names, key=len), str(option.options.get("help", ""))

    def _next_positional(self) -> Argument | None:
        """The positional argument that comes next."""
        if self._command is None:
            return None
        alternatives = () if self._is_named(self._command.alternatives) else self._command.alternatives
        positionals = [each for each in (*self._command.arguments, *alternatives) if not _is_option(each)]
        return positionals[len(self.given)] if len(self.given) < len(positionals) else None

    def _is_named(self, options: Iterable[Argument]) -> bool:
        """Whether one of them has been given by name."""
        return any(self._used & set(each.names) for each in options)


def _is_option(each: Argument) -> bool:
    return each.names[0].startswith("-")


def _takes_value(option: Argument) -> bool:
    return option.options.get("action") not in _ACTIONS_WITHOUT_VALUE


def _values(argument_: Argument, given: Sequence[str], lookup: Lookup) -> Iterable[Candidate]:
    if "choices" in argument_.options:
        return [(str(choice), "") for choice in argument_.options["choices"]]
    return lookup(argument_.values, given) if argument_.values else ()


# -- the values of arguments


class Known(Protocol):
    """What the daemon knows: each list as its control method returns it, or empty."""

    @property
    def accounts(self) -> Sequence[Json]: ...

    @property
    def settings(self) -> Sequence[Json]: ...

    @property
    def requests(self) -> Sequence[Json]: ...

    @property
    def models(self) -> Sequence[Json]: ...

    @property
    def free_models(self) -> Sequence[Json]: ...


def find_values(kind: Values, given: Sequence[str], known: Known) -> Iterable[Candidate]:
    """The values of ``kind``; ``given`` are the previous arguments."""
    return _READERS[kind](known, given)


def _accounts(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    for account in known.accounts:
        words = [account["plan"], state_words(account["state"])]
        words += [word for word in ("active", "simulated") if account[word]]
        yield account["label"], ", ".join(filter(None, words))


def _settings(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    for setting in known.settings:
        value = value_text(setting["value"])
        if setting["type"] == "table":
            yield from ((f"{setting['name']}.{key}", to) for key, to in setting["value"].items())
        yield setting["name"], f"{value}: {setting['meaning']}" if value else setting["meaning"]


def _setting_values(known: Known, given: Sequence[str]) -> Iterator[Candidate]:
    setting = next((each for each in known.settings if each["name"] == given[-1]), None)
    if setting is None and given[-1].startswith("models.aliases."):
        yield from ((name, "") for name, _ in _models(known, ()))
    if setting is None or setting["secret"]:
        return
    now, default = value_text(setting["value"]), value_text(setting["default"])
    choices = setting["choices"] or (("true", "false") if setting["type"] == "boolean" else ())
    if not choices:
        choices = filter(None, (now, default, *_models_for(setting["name"], known)))
    for choice in dict.fromkeys(choices):
        yield choice, ", ".join(mark for mark, text in (("now", now), ("default", default)) if choice == text)


def _models_for(setting: str, known: Known) -> Iterator[str]:
    if setting == "kilo.model":
        yield from (model["id"] for model in known.free_models)
    elif setting.startswith("models."):
        yield from (name for name, _ in _models(known, ()))


def _requests(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    """The newest first."""
    for request in reversed(known.requests):
        yield request["id"], f"{request['state']}, {request['model'] or 'no model'}, from {request['client']}"


def _running_requests(known: Known, given: Sequence[str]) -> Iterator[Candidate]:
    running = {request["id"] for request in known.requests if request["state"] == "running"}
    return (candidate for candidate in _requests(known, given) if candidate[0] in running)


def _models(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    """The models that settings name, that answered requests, and that the backend offers."""
    models: dict[str, str] = {}
    for setting in known.settings:
        if setting["name"].startswith("models.") and setting["type"] == "names":
            for name in setting["value"]:
                models.setdefault(name, setting["name"])
    for request in known.requests:
        if request["model_used"]:
            models.setdefault(request["model_used"], "used")
    for model in known.models:
        if model["listed"]:
            models.setdefault(model["id"], model["name"])
    yield from models.items()


_READERS: Mapping[Values, Callable[[Known, Sequence[str]], Iterator[Candidate]]] = {
    Values.ACCOUNTS: _accounts,
    Values.SETTINGS: _settings,
    Values.SETTING_VALUES: _setting_values,
    Values.REQUESTS: _requests,
    Values.RUNNING_REQUESTS: _running_requests,
    Values.MODELS: _models,
}
