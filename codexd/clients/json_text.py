"""Edit one member of a JSON text: everything else stays as it was, byte for byte. Pure.

A new member copies the layout of its neighbours: indentation, line ends, the space after a colon. Once it is dropped
again, the text is the same as before.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from attrs import frozen

Path = tuple[str, ...]
"""The keys that lead from the root object to a member."""

DEFAULT_INDENT = "  "

_SPACE = re.compile(r"[ \t\n\r]*")


@frozen
class Member:
    """``"key": value``: the offsets of its key, its colon, and the start and end of its value."""

    key: str
    start: int
    colon: int
    value: int
    end: int


@frozen
class JsonObject:
    """An object, from its opening brace to past its closing one."""

    start: int
    end: int
    members: tuple[Member, ...]


def check(text: str) -> None:
    """Raise ValueError, with what is wrong and where, unless ``text`` is a JSON object."""
    try:
        root = _decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(root, dict):
        raise ValueError("it does not hold a JSON object")  # noqa: TRY004 - a wrong text, not a wrong type


def check_names(raw: str) -> None:
    """Raise ValueError if the object ``raw`` holds a key twice."""
    holder = _scan(raw)
    for member in holder.members:
        _only(holder, member.key)


def read(text: str, path: Path) -> str | None:
    """The raw text of the value at ``path``, or None."""
    found: str | None = text
    for key in path:
        member = _find(text := found or "", key)
        if member is None:
            return None
        found = text[member.value : member.end]
    return found


def is_object(raw: str | None) -> bool:
    return raw is not None and raw.lstrip().startswith("{")


def is_empty(raw: str) -> bool:
    """Whether ``raw`` is an object without members."""
    return not _scan(raw).members


def put(text: str, path: Path, raw: str) -> str:
    """``text`` with the value ``raw`` at ``path``. The object that holds it must exist.

    Raises:
        ValueError: a value on the path is missing, is not an object, or holds the key twice.
    """
    holder = _scan_at(text, path[:-1])
    member = _only(holder, path[-1])
    if member is not None:
        return text[: member.value] + raw + text[member.end :]
    colon = _colon_like(text, holder) or _colon_like(text, _scan(text)) or ": "
    added = f"{json.dumps(path[-1], ensure_ascii=False)}{colon}{raw}"
    if holder.members:
        at = holder.members[-1].end
        return f"{text[:at]},{_gap_like(text, holder)}{added}{text[at:]}"
    lead, tail = _layout_inside(text, path[:-1])
    return f"{text[: holder.start + 1]}{lead}{added}{tail}{text[holder.end - 1 :]}"


def drop(text: str, path: Path) -> str:
    """``text`` without the member at ``path``; unchanged if there is no such member.

    Raises:
        ValueError: as ``put``.
    """
    holder = _scan_at(text, path[:-1])
    member = _only(holder, path[-1])
    if member is None:
        return text
    if len(holder.members) == 1:
        return text[: holder.start + 1] + text[holder.end - 1 :]
    place = holder.members.index(member)
    if place == 0:
        return text[: member.start] + text[holder.members[1].start :]
    return text[: holder.members[place - 1].end] + text[member.end :]


# -- reading --------------------------------------------------------------------------------------


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _scan(text: str, start: int = 0) -> JsonObject:
    """The object that starts at or after ``start``."""
    start = at = _skip_space(text, start)
    if text[at : at + 1] != "{":
        raise ValueError("it is not an object")
    members: list[Member] = []
    while True:
        at = _skip_space(text, at + 1)  # past the brace, or a comma
        if text[at] == "}":
            return JsonObject(start, at + 1, tuple(members))
        members.append(_scan_member(text, at))
        at = _skip_space(text, members[-1].end)
        if text[at] == "}":
            return JsonObject(start, at + 1, tuple(members))


def _scan_member(text: str, start: int) -> Member:
    key, colon = _decoder.raw_decode(text, start)
    value = _skip_space(text, _skip_space(text, colon) + 1)
    _, end = _decoder.raw_decode(text, value)
    return Member(key, start, colon, value, end)


def _skip_space(text: str, at: int) -> int:
    found: Any = _SPACE.match(text, at)
    return int(found.end())


def _scan_at(text: str, path: Path) -> JsonObject:
    found = _scan(text)
    for key in path:
        member = _only(found, key)
        if member is None:
            raise ValueError(f'it holds no "{key}"')
        found = _scan(text, member.value)
    return found


def _find(text: str, key: str) -> Member | None:
    return _only(_scan(text), key)


def _only(holder: JsonObject, key: str) -> Member | None:
    """The only member with ``key``. A key that occurs twice is an error: programs differ in which value counts."""
    members = [member for member in holder.members if member.key == key]
    if len(members) > 1:
        raise ValueError(f'it holds "{key}" twice')
    return members[0] if members else None


# -- layout ---------------------------------------------------------------------------------------


def _colon_like(text: str, holder: JsonObject) -> str | None:
    """The text between a key and its value."""
    last = holder.members[-1] if holder.members else None
    return text[last.colon : last.value] if last else None


def _gap_like(text: str, holder: JsonObject) -> str:
    """The text between a comma and the next key."""
    last = holder.members[-1]
    gap = _gap_before(text, holder, last)
    if "\n" in gap or len(holder.members) > 1:
        return gap
    return " " if text[last.colon : last.value].endswith(" ") else ""


def _gap_before(text: str, holder: JsonObject, member: Member) -> str:
    place = holder.members.index(member)
    begin = text.index(",", holder.members[place - 1].end) if place else holder.start
    return text[begin + 1 : member.start]


def _layout_inside(text: str, path: Path) -> tuple[str, str]:
    """The space before and after the first member of the empty object at ``path``."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    if not path:
        return line_end + DEFAULT_INDENT, line_end
    holder = _scan_at(text, path[:-1])
    member = _only(holder, path[-1])
    before = _gap_before(text, holder, member) if member else ""
    if "\n" not in before:
        return "", ""
    indent = before[before.rindex("\n") + 1 :]
    unit = indent[: len(indent) // len(path)]
    return line_end + indent + unit, line_end + indent
