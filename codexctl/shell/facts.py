"""What the shell knows of its daemon, and the toolbar that says the most important of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from codexctl.render.base import Json, bar, bar_colour, counted, name_of, plain, plan_windows, until

SEPARATOR = " · "
_CLASSES = {"green": "class:good", "yellow": "class:tight", "red": "class:bad"}

Fragment = tuple[str, str]
"""A style of prompt_toolkit, and text in it."""


@dataclass(frozen=True)
class Facts:
    """The last answers of the daemon. ``problem``: why there are no newer ones."""

    status: Json = field(default_factory=dict)
    accounts: Sequence[Json] = ()
    settings: Sequence[Json] = ()
    requests: Sequence[Json] = ()
    problem: str | None = None

    @property
    def models(self) -> Sequence[Json]:
        """None: the backend's list may take seconds, too long for a prompt. ``completion`` knows others."""
        return ()

    @property
    def free_models(self) -> Sequence[Json]:
        """None, for the same reason."""
        return ()

    @property
    def active(self) -> Json | None:
        return next((account for account in self.accounts if account["active"]), None)


@dataclass(frozen=True)
class _Part:
    """``rank``: the highest goes first where the terminal is too narrow for all."""

    rank: int
    fragments: tuple[Fragment, ...]

    @property
    def width(self) -> int:
        return sum(len(text) for _, text in self.fragments)


def toolbar(facts: Facts, log_level: str | None, width: int, now: float) -> list[Fragment]:
    """One line of at most ``width`` columns."""
    if facts.problem:
        parts = [
            _Part(0, (("class:bad", "codexd is away"),)),
            _Part(1, (("", "start it with: codexd"),)),
            _Part(2, (("", "the shell goes on as soon as it is there"),)),
        ]
    elif not facts.status:
        parts = [_Part(0, (("", "asking codexd"),))]
    else:
        parts = [
            *_account_parts(facts.active, now),
            _streams(facts.status["streams_in_flight"]),
            _Part(4, (("class:quiet", f"logs {log_level or 'off'}"),)),
            _Part(3, (("class:quiet", "F1 help"),)),
        ]
    return _join(parts, width)


def _account_parts(account: Json | None, now: float) -> list[_Part]:
    if account is None:
        return [_Part(0, (("class:bad", "no active account"),))]
    parts = [_Part(0, (("bold", name_of(account)),))]
    if account["state"] not in ("ok", "expiring"):
        parts.append(_Part(1, (("class:bad", account["state"].replace("_", " ")),)))
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
    return _cut(fragments, width)


def _total(parts: Sequence[_Part]) -> int:
    return 2 + sum(part.width for part in parts) + len(SEPARATOR) * (len(parts) - 1)


def _cut(fragments: Sequence[Fragment], width: int) -> list[Fragment]:
    cut: list[Fragment] = []
    for style, text in fragments:
        cut.append((style, text if len(text) <= width else f"{text[: max(0, width - 1)]}…"[:width]))
        width -= len(cut[-1][1])
    return cut
