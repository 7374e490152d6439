"""What surrounds the line being typed: the greeting and the help above it, the toolbar below, colours and keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style as PromptStyle

from codexctl.client import OlderDaemon
from codexctl.command import Command
from codexctl.render.daemon import serving
from codexctl.render.format import Json, bar, bar_colour, counted, name_of, plan_windows, state_words, until
from codexctl.render.table import GAP
from codexctl.render.text import PROSE_WIDTH, Fragment, Style, cell_width, cut, cut_fragments, pad, plain
from codexctl.shell.watch import Facts

SEPARATOR = " · "
_CLASSES = {"green": "class:good", "yellow": "class:tight", "red": "class:bad"}

# "reverse" with swapped colours looks the same on a terminal with colours, and still shows a bar on one without.
_BAR = "reverse fg:#303030 bg:#d0d0d0"
STYLE = PromptStyle.from_dict(
    {
        "prompt": "bold",
        "bottom-toolbar": _BAR,
        "bottom-toolbar.text": "",
        "good": "bg:#87d787",
        "tight": "bg:#ffd75f",
        "bad": "bg:#ff8787 bold",
        "quiet": "bg:#9e9e9e",
        "completion-menu": "fg:#d0d0d0 bg:#303030",
        "completion-menu.completion.current": "reverse fg:#d0d0d0 bg:#303030 bold",
        "completion-menu.meta.completion": "fg:#9e9e9e bg:#262626",
        "completion-menu.meta.completion.current": "fg:#d0d0d0 bg:#262626",
        "auto-suggestion": "fg:#808080",
    }
)

KEYS = (
    "Tab completes, Right accepts the suggestion, Up and Down recall earlier lines, Ctrl-R searches them. Ctrl-C "
    "discards the line or interrupts the running command, Ctrl-D leaves the shell, Ctrl-Z suspends it. F1 shows help "
    "for the command you are typing."
)
UNLISTED = (("shell",), ("quit",))


def greeting(status: Json, style: Style) -> list[str]:
    addresses = plain(", ".join(status["addresses"]) or "no address")
    simulated = ["SIMULATED: the backend and the accounts are made up."] if status["simulated"] else []
    return [
        f"{style.paint('codexd', 'bold')} {status['version']} at {addresses}",
        *simulated,
        *style.prose(serving(status, style.now)),
        *(line for problem in status["problems"] for line in style.prose(f"Problem: {problem}")),
    ]


def hint(style: Style, log_level: str | None) -> list[str]:
    text = "Press Tab to complete, F1 for help, Ctrl-D to leave."
    if log_level:
        text += f" Log entries of level {log_level} or above appear here (`logs off` and `logs on info` change that)."
    return [style.paint(line, "dim") for line in style.prose(text)]


def overview(commands: Iterable[Command], style: Style) -> list[str]:
    """The one-word commands and the shell's own, with their summaries, and the keys."""
    rows = [(" ".join(command.words), command.summary) for command in commands if _is_listed(command)]
    first = max(len(name) for name, _ in rows)
    room = (style.width or PROSE_WIDTH) - first - 2 * len(GAP)
    lines = [f"{GAP}{style.paint(pad(name, first), 'bold')}{GAP}{cut(text, room)}" for name, text in rows]
    return [*lines, *style.prose(f"{KEYS} `help COMMAND` shows what a command takes.")]


def _is_listed(command: Command) -> bool:
    return (len(command.words) == 1 or command.words[0] == "logs") and command.words not in UNLISTED


def make_key_bindings(show_help: Callable[[list[str]], None]) -> KeyBindings:
    bindings = KeyBindings()
    nothing_typed = Condition(lambda: not get_app().current_buffer.text)

    @bindings.add("f1")
    @bindings.add("?", filter=nothing_typed)
    def _(event: KeyPressEvent) -> None:
        show_help(_words(event.current_buffer.text))

    return bindings


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return words[1:] if words[:1] == ["codexctl"] else words


# -- the toolbar


@dataclass(frozen=True)
class _Part:
    """A piece of the toolbar. If the terminal is too narrow, the piece with the highest ``rank`` goes first."""

    rank: int
    fragments: tuple[Fragment, ...]

    @property
    def width(self) -> int:
        return sum(cell_width(text) for _, text in self.fragments)


def toolbar(facts: Facts, log_level: str | None, width: int, now: float) -> list[Fragment]:
    """One line of at most ``width`` cells."""
    try:
        return _join(_parts(facts, log_level, now), width)
    except OlderDaemon:
        parts = [_Part(0, (("class:bad", "codexd is older than codexctl"),)), _Part(1, (("", "restart codexd"),))]
        return _join(parts, width)


def _parts(facts: Facts, log_level: str | None, now: float) -> list[_Part]:
    if facts.problem:
        return [
            _Part(0, (("class:bad", "codexd is away"),)),
            _Part(1, (("", plain(facts.problem.rpartition(". ")[2])),)),
            _Part(2, (("", "the shell continues once it runs"),)),
        ]
    if not facts.status:
        return [_Part(0, (("", "asking codexd"),))]
    return [
        *_account_parts(facts.active, now),
        _streams(facts.status["streams_in_flight"]),
        _Part(4, (("class:quiet", f"logs {log_level or 'off'}"),)),
        _Part(3, (("class:quiet", "F1 help"),)),
    ]


def _account_parts(account: Json | None, now: float) -> list[_Part]:
    if account is None:
        return [_Part(0, (("class:bad", "no active account"),))]
    parts = [_Part(0, (("bold", name_of(account)),))]
    if account["state"] not in ("ok", "expiring"):
        parts.append(_Part(1, (("class:bad", state_words(account["state"])),)))
    if windows := plan_windows(account):
        parts += _quota(max(windows, key=lambda window: float(window["used_percent"])), account["quota_stale"], now)
    return parts


def _quota(window: Json, stale: bool, now: float) -> list[_Part]:
    used = window["used_percent"]
    style = "class:quiet" if stale else _CLASSES[bar_colour(used)]
    parts = [_Part(1, (("", f"{plain(window['name'])} "), (style, bar(used))))]
    if stale:
        return [*parts, _Part(5, (("class:quiet", "stale"),))]
    if window["resets_at"]:
        parts.append(_Part(5, (("", f"resets {until(window['resets_at'], now)}"),)))
    return parts


def _streams(count: int) -> _Part:
    return _Part(2, (("bold" if count else "", counted(count, "stream")),))


def _join(parts: Sequence[_Part], width: int) -> list[Fragment]:
    shown = list(parts)
    while len(shown) > 1 and _total(shown) > width:
        shown.remove(max(shown, key=lambda part: part.rank))
    fragments: list[Fragment] = [("", " ")]
    for number, part in enumerate(shown):
        fragments += [("class:quiet", SEPARATOR)] if number else []
        fragments += part.fragments
    return cut_fragments(fragments, width)


def _total(parts: Sequence[_Part]) -> int:
    return 2 + sum(part.width for part in parts) + len(SEPARATOR) * (len(parts) - 1)
