"""Which keys change, and what undoes it. Pure.

The rule: what codexd did not write is the user's. A key whose value is no longer the one that codexd wrote was changed
by the user since; that value then counts as the one to keep.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

Values = Mapping[str, str | None]
"""Key -> raw text of its value, or None where there is none."""

Parse = Callable[[str], Any]
"""What raw text means, in the format of the file."""


@frozen
class Entry:
    """What a key held before codexd wrote to it, and what codexd wrote; None: no such key."""

    before: str | None
    wrote: str | None


@frozen
class Plan:
    """``targets``: the keys to change. ``entries``: what is to be remembered then.

    ``left``: keys that codexd wrote once, that the user has changed since, and that stay.
    """

    targets: Values
    entries: Mapping[str, Entry]
    left: tuple[str, ...]


def without_us(now: Values, entries: Mapping[str, Entry], parse: Parse = json.loads) -> Values:
    """What the keys would hold had codexd never written."""
    ours = {key: entry.before for key, entry in entries.items() if is_same(now.get(key), entry.wrote, parse)}
    return {**now, **ours}


def make_plan(now: Values, entries: Mapping[str, Entry], wanted: Values, parse: Parse = json.loads) -> Plan:
    """From what the keys hold ``now`` to ``wanted``; a key that is not wanted goes back to what was there before."""
    before = without_us(now, entries, parse)
    aims = {key: wanted[key] if key in wanted else before.get(key) for key in dict.fromkeys((*entries, *wanted))}
    return Plan(
        targets={key: aim for key, aim in aims.items() if not is_same(aim, now.get(key), parse)},
        entries={
            key: Entry(before.get(key), aim) for key, aim in aims.items() if not is_same(aim, before.get(key), parse)
        },
        left=tuple(
            key for key, entry in entries.items() if key not in wanted and not is_same(now.get(key), entry.wrote, parse)
        ),
    )


def is_same(raw: str | None, other: str | None, parse: Parse = json.loads) -> bool:
    """Another program may have written the same value with other escapes."""
    if raw is None or other is None:
        return raw is other
    return raw == other or bool(parse(raw) == parse(other))
