"""Edit one key or one table of a TOML text: everything else stays as it was, byte for byte. Pure.

A new key comes first in the text, where it can't become part of a table; a new table comes last. Once it is dropped
again, the text is the same as before. Each edit is parsed again and compared, so that TOML in a form that is not
understood here is refused rather than damaged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from attrs import frozen
from tomlkit.exceptions import TOMLKitError

Path = tuple[str, ...]
"""The keys that lead from the root to a value: one for a plain key, two for a nested table."""

_KEY = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*\[{{1,2}}[ \t]*(?P<key>{_DOTTED})[ \t]*\]{{1,2}}")
_PAIR = re.compile(rf"[ \t]*(?P<key>{_DOTTED})[ \t]*=[ \t]*")
_REST_OF_LINE = re.compile(r"[ \t\r]*(?:\#[^\n]*)?(?:\n|\Z)")
_TOKEN = re.compile(
    r'(?P<word>"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}"
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s"'\#\[\]{},]+)"""
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<between>,|[ \t\r]+|\n|\#[^\n]*)",
    re.DOTALL,
)


@frozen
class Statement:
    """A header, or a key with its value: the offsets of its line, of the start and end of its value, and of its stop.

    ``path`` starts at the root. A header has no value: its ``value`` and ``end`` are where it ends.
    """

    path: Path
    is_header: bool
    start: int
    value: int
    end: int
    stop: int


def check(text: str) -> None:
    """Raise ValueError, with what is wrong and where, unless ``text`` is TOML."""
    try:
        tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def find(text: str, path: Path) -> Any:
    """The value at ``path``, or None: TOML has no null."""
    found: Any = tomllib.loads(text)
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def read(text: str, path: Path) -> str | None:
    """The text of the value at ``path``. A table is returned in one line, however it is written."""
    value = find(text, path)
    if value is None:
        return None
    written = next((each for each in _scan(text) if each.path == path and not each.is_header), None)
    return dump(value) if written is None else text[written.value : written.end]


def parse(raw: str) -> Any:
    """The value that ``raw`` stands for."""
    return tomllib.loads(f"value = {raw}")["value"]


def dump(value: Any) -> str:
    """``value`` in one line."""
    if not isinstance(value, dict):
        return str(tomlkit.item(value).as_string())
    return "{ " + ", ".join(f"{_bare(key)} = {dump(each)}" for key, each in value.items()) + " }" if value else "{}"


def put(text: str, path: Path, raw: str) -> str:
    """``text`` with the value ``raw`` at ``path``. An existing table is replaced by a new one at the end.

    Raises:
        ValueError: the text is written in a way that is not understood.
    """
    edited = _put_key(text, path[0], raw) if len(path) == 1 else _put_table(text, path, raw)
    return _check_edit(text, edited, path, parse(raw))


def drop(text: str, path: Path) -> str:
    """``text`` without the value at ``path``; unchanged if there is no such value.

    Raises:
        ValueError: as ``put``.
    """
    if find(text, path) is None:
        return text
    edited = _drop_key(text, path[0]) if len(path) == 1 else _drop_table(text, path)
    return _check_edit(text, edited, path, None)


# -- edits ----------------------------------------------------------------------------------------


def _put_key(text: str, key: str, raw: str) -> str:
    pair = _find_pair(text, (key,))
    if pair is not None:
        return text[: pair.value] + raw + text[pair.end :]
    return f"{_bare(key)} = {raw}{_line_end(text)}{text}"


def _drop_key(text: str, key: str) -> str:
    pair = _find_pair(text, (key,))
    return text if pair is None else text[: pair.start] + text[pair.stop :]


def _put_table(text: str, path: Path, raw: str) -> str:
    if _find_pair(text, path[:-1]):
        return _edit_inline(text, path, raw)
    end, text = _line_end(text), _drop_table(text, path)
    lines = [f"[{'.'.join(map(_bare, path))}]", *(f"{_bare(key)} = {dump(each)}" for key, each in parse(raw).items())]
    gap = "" if not text else end if text.endswith("\n") else end * 2
    return text + gap + "".join(line + end for line in lines)


def _drop_table(text: str, path: Path) -> str:
    if _find_pair(text, path[:-1]):
        return _edit_inline(text, path, None)
    for start, stop in reversed(list(_find_blocks(text, path))):
        before = text[:start]
        for gap in ("\r\n", "\n"):  # the empty line between it and the text before
            if before.endswith(gap) and before.removesuffix(gap).endswith("\n"):
                before = before.removesuffix(gap)
                break
        text = before + text[stop:]
    return text


def _find_blocks(text: str, path: Path) -> Iterator[tuple[int, int]]:
    """The offsets of the table at ``path`` and of the tables within it: each header with what follows it."""
    block: tuple[int, int] | None = None
    for statement in _scan(text):
        if statement.is_header and block is not None:
            yield block
            block = None
        if statement.is_header and statement.path[: len(path)] == path:
            block = (statement.start, statement.stop)
        elif block is not None:
            block = (block[0], statement.stop)
    if block is not None:
        yield block


def _edit_inline(text: str, path: Path, raw: str | None) -> str:
    """Edit a holder that is written ``key = { ... }``: a header can't add to it."""
    holder = _find_pair(text, path[:-1])
    assert holder is not None  # noqa: S101 - for mypy; callers look first
    try:
        document: Any = tomlkit.parse(f"value = {text[holder.value : holder.end]}")
        if raw is None:
            del document["value"][path[-1]]
        else:
            document["value"][path[-1]] = tomlkit.parse(f"value = {raw}")["value"]
    except (TOMLKitError, TypeError, KeyError) as wrong:
        raise ValueError(f"{'.'.join(path[:-1])} can't be edited ({wrong})") from None
    return text[: holder.value] + tomlkit.dumps(document).removeprefix("value = ") + text[holder.end :]


def _check_edit(text: str, edited: str, path: Path, value: Any) -> str:
    """Return ``edited`` if it differs from ``text`` only in ``value`` at ``path``."""
    wanted = tomllib.loads(text)
    holder = wanted
    for key in path[:-1]:
        holder = holder.setdefault(key, {})
        if not isinstance(holder, dict):
            raise ValueError(f"{key} is not a table")  # noqa: TRY004 - a wrong text, not a wrong type
    if value is None:
        holder.pop(path[-1], None)
    else:
        holder[path[-1]] = value
    try:
        if _without_empty(tomllib.loads(edited)) == _without_empty(wanted):
            return edited
    except tomllib.TOMLDecodeError:
        pass
    raise ValueError(f"codexd does not understand how {'.'.join(path)} is written")


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """``table`` without empty tables, because it makes no difference whether those are written."""
    plain = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in plain.items() if value != {}}


# -- reading --------------------------------------------------------------------------------------


def _find_pair(text: str, path: Path) -> Statement | None:
    return next((each for each in _scan(text) if each.path == path and not each.is_header), None)


def _scan(text: str) -> Iterator[Statement]:
    """The statements of ``text``, which is TOML."""
    at = 0
    table: Path = ()
    while at < len(text):
        if blank := _REST_OF_LINE.match(text, at):
            at = blank.end()
        elif header := _HEADER.match(text, at):
            table = _read_key(header["key"])
            yield Statement(table, True, at, header.end(), header.end(), stop := _end_of_line(text, header.end()))
            at = stop
        elif pair := _PAIR.match(text, at):
            end = _end_of_value(text, pair.end())
            path = (*table, *_read_key(pair["key"]))
            yield Statement(path, False, at, pair.end(), end, stop := _end_of_line(text, end))
            at = stop
        else:
            raise ValueError(f"codexd does not understand line {text.count(chr(10), 0, at) + 1}")


def _end_of_value(text: str, at: int) -> int:
    depth, end = 0, at
    while token := _TOKEN.match(text, at):
        if depth == 0 and token["between"] and token["between"][0] in "\n#":
            break
        depth += bool(token["open"]) - bool(token["close"])
        at = token.end()
        if not token["between"]:
            end = at
    return end


def _end_of_line(text: str, at: int) -> int:
    rest = _REST_OF_LINE.match(text, at)
    return at if rest is None else rest.end()


def _read_key(dotted: str) -> Path:
    found: Any = tomllib.loads(f"{dotted} = 0")
    path: list[str] = []
    while isinstance(found, dict):
        ((key, found),) = found.items()
        path.append(key)
    return tuple(path)


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else tomlkit.item(key).as_string()


def _line_end(text: str) -> str:
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
