"""Completion in the shell: ``candidates.py`` with the values from what is known of the daemon."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from codexctl.candidates import Candidate, complete
from codexctl.invocation import Command, Values
from codexctl.render.base import Json, plain
from codexctl.shell.facts import Facts

META_WIDTH = 60


class ShellCompleter(Completer):
    """Answers at once, from the facts that a task behind the prompt keeps."""

    def __init__(self, commands: Sequence[Command], facts: Callable[[], Facts]) -> None:
        self._commands = commands
        self._facts = facts

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002 - prompt_toolkit's
        text = document.text_before_cursor
        words = read_words(text)
        if words is None:
            return
        for word, meaning in self.candidates(words):
            yield Completion(
                shlex.quote(word), -raw_length(text), display=plain(word), display_meta=plain(meaning)[:META_WIDTH]
            )

    def candidates(self, words: Sequence[str]) -> list[Candidate]:
        if words[0] == "help" and len(words) > 1:
            return complete(self._commands, words[1:], lambda _values, _given: ())
        facts = self._facts()
        return complete(self._commands, words, lambda values, given: find_values(values, given, words[-1], facts))


def read_words(text: str) -> list[str] | None:
    """The words of ``text``, the last one (maybe empty) being typed; None inside of quotes."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not text or text[-1].isspace():
        words.append("")
    return words[1:] if words[0] == "codexctl" and len(words) > 1 else words


def raw_length(text: str) -> int:
    """Of the word that is being typed, as it was typed."""
    return 0 if not text or text[-1].isspace() else len(text.rsplit(maxsplit=1)[-1])


def find_values(values: Values, given: Sequence[str], current: str, facts: Facts) -> Iterable[Candidate]:
    """What an argument may be; ``given``: the arguments before it."""
    match values:
        case Values.ACCOUNTS:
            return _accounts(facts)
        case Values.SETTINGS:
            return [(info["name"], f"{_show(info['value'])}: {info['meaning']}") for info in facts.settings]
        case Values.SETTING_VALUES:
            named = (info for info in facts.settings if info["name"] in given)
            return [item for info in named for item in _setting_values(info, facts)]
        case Values.REQUESTS:
            return [_request(request) for request in reversed(facts.requests)]
        case Values.MODELS:
            return _models(facts)
        case Values.FILES:
            return _files(current)
    return ()


def _accounts(facts: Facts) -> Iterator[Candidate]:
    """By email, or by id where two share one."""
    emails = [account["email"] for account in facts.accounts]
    for account in facts.accounts:
        email = account["email"]
        name = email if email and emails.count(email) == 1 else account["id"]
        words = [email if name != email else "", account["plan"], account["state"].replace("_", " ")]
        words += ["active"] if account["active"] else []
        words += ["simulated"] if account["simulated"] else []
        yield name, ", ".join(filter(None, words))


def _setting_values(info: Json, facts: Facts) -> Iterator[Candidate]:
    if info["secret"]:
        return
    now, default = _show(info["value"]), _show(info["default"])
    choices = info["choices"] or (("true", "false") if info["type"] == "boolean" else ())
    if not choices:
        choices = filter(None, (now, default))
        choices = [*choices, *dict(_models(facts))] if info["name"].startswith("models.") else choices
    for choice in dict.fromkeys(choices):
        yield choice, ", ".join(mark for mark, text in (("now", now), ("default", default)) if choice == text)


def _models(facts: Facts) -> Iterator[Candidate]:
    """Those that the settings and the last requests name: the backend's own list may take seconds."""
    models: dict[str, str] = {}
    for info in facts.settings:
        if info["name"].startswith("models.") and info["type"] == "names":
            for name in info["value"]:
                models.setdefault(name, info["name"])
    for request in facts.requests:
        if request["model_used"]:
            models.setdefault(request["model_used"], "used")
    yield from models.items()


def _request(request: Json) -> Candidate:
    return request["id"], " ".join(filter(None, (request["state"], request["model"], request["client"])))


def _files(current: str) -> Iterator[Candidate]:
    """Those in the folder that ``current`` names."""
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


def _show(value: object) -> str:
    """As it is typed."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(str, value))
        case dict():
            return ",".join(f"{name}={text}" for name, text in value.items())
    return str(value)
