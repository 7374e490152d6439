"""Scripts: what the simulated backend answers, as data.

A script is ``{"replies": [reply, ...], "then": "agent" | "repeat-last"}``. Each request that passes the checks gets the
first unused reply with a matching ``when``, or else the first unused one without a ``when``. After that, ``then`` says
who answers.
The classes below list the keys of each form; an unknown key is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import cattrs
from attrs import field, frozen
from cattrs.gen import make_dict_structure_fn, override

from codexd.jsontext import dumps, loads


@frozen
class Text:
    """``{"text": "Hello", "phase": "commentary"?, "annotations": [annotation, ...]?}``."""

    text: str
    phase: str = "final_answer"
    annotations: tuple[dict[str, Any], ...] = ()


@frozen
class BigText:
    """``{"big_text": {"bytes": 200000000, "chunk_bytes": 16384}}``: a long answer, generated while it is sent.

    Its ``.done`` events have no text, because they would have to hold all of it.
    """

    size_bytes: int
    chunk_bytes: int = 16_384


@frozen
class Refusing:
    """``{"refusal": "I can't help with that."}``."""

    refusal: str


@frozen
class Reasoning:
    """``{"reasoning": {"summary": ["**Plan**"], "encrypted": true, "text": ""?}}``.

    ``encrypted`` may be a string, which is sent verbatim. ``text`` is raw reasoning.
    """

    summary: tuple[str, ...] = ()
    encrypted: bool | str = True
    text: str = ""


@frozen
class Call:
    """``{"call": {"name": "Bash", "arguments": {...} | "raw text", "call_id": "call_1"?, "namespace": ...?}}``."""

    name: str
    arguments: Any = field(factory=dict)
    call_id: str | None = None
    namespace: str | None = None

    @property
    def arguments_text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else dumps(self.arguments).decode()


@frozen
class CustomCall:
    """``{"custom_call": {"name": "apply_patch", "input": "raw text", "call_id": ...?}}``."""

    name: str
    input: str
    call_id: str | None = None


@frozen
class WebSearch:
    """``{"web_search": {"query": "bonn weather", "sources": ["https://..."]}}``, or any ``action`` verbatim."""

    query: str = ""
    sources: tuple[str, ...] = ()
    action: dict[str, Any] | None = None


@frozen
class Compaction:
    """``{"compaction": {}}``: the item that stands for a whole conversation."""


Item = Text | BigText | Refusing | Reasoning | Call | CustomCall | WebSearch | Compaction

_WRAPPED: Mapping[str, type[Any]] = {
    "big_text": BigText,
    "reasoning": Reasoning,
    "call": Call,
    "custom_call": CustomCall,
    "web_search": WebSearch,
    "compaction": Compaction,
}


class FailedAs(Enum):
    """The events that report a failure inside a stream."""

    FAILED = "failed"
    ERROR = "error"
    BOTH = "both"
    FLAT_ERROR = "flat-error"
    """An ``error`` event with the code and the message at its top level."""


class CutBy(Enum):
    EOF = "eof"
    """The body ends properly, but without a terminal event."""
    CONNECTION = "connection"
    """The connection closes in the middle of the body."""


@frozen
class HttpError:
    """``{"error": {"status": 429, "body": {...} | "<html>", "headers": {...}}}``."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(factory=dict)


@frozen
class When:
    """The requests that a reply is for: every given key must match."""

    model: str | None = None
    contains: str | None = None
    """A text anywhere in the body's JSON."""
    last_user_contains: str | None = None
    tool: str | None = None
    """The name of a tool in the request."""
    output_format: str | None = None
    """``text.format.type``, such as ``json_schema``."""


@frozen(kw_only=True)
class Reply:
    """One reply.

    ``after_items`` or ``after_events`` is the point at which ``stall_s``, ``hold``, ``failed`` and ``cut`` happen. By
    default it is before the first item, and for ``cut`` before the terminal event.
    """

    when: When | None = None
    times: int = 1
    """How many requests get the reply; 0 means any number."""
    delay_s: float = 0.0
    """Delay before the response headers."""
    model: str | None = None
    """The model that the response names."""

    output: tuple[Item, ...] = ()
    usage: Any = "computed"
    """``"computed"``, ``"absent"``, null, or the object to send."""
    incomplete: str | None = None
    interleave: bool = False
    arguments_in_done_only: bool = False
    summary_in_done_only: bool = False
    name_in_done_only: bool = False
    done_without_index: bool = False

    error: HttpError | None = None
    events: tuple[dict[str, Any], ...] | None = None
    """Events sent verbatim instead of ``output``."""
    raw: str | None = None
    """The whole body, sent verbatim, for odd framing."""

    after_items: int | None = None
    after_events: int | None = None
    stall_s: float = 0.0
    hold: str | None = None
    """Wait at the point until ``simulator.release(name)``."""
    failed: dict[str, Any] | None = None
    failed_as: FailedAs = FailedAs.FAILED
    """``"as"`` in a script."""
    cut: CutBy | None = None


class Drop(Enum):
    """When the connection is lost during a refresh."""

    BEFORE = "before"
    """Before the token is rotated."""
    AFTER = "after"
    """After the old token is spent, so that the client never receives the new ones."""


@frozen(kw_only=True)
class TokenReply:
    """One reply of ``/oauth/token``, such as ``{"code": "refresh_token_expired"}``; ``{}`` is the usual one."""

    delay_s: float = 0.0
    hold: str | None = None
    code: str | None = None
    """Refuse with a 401 and this code."""
    error: HttpError | None = None
    drop: Drop | None = None
    omit: tuple[str, ...] = ()
    """Fields left out of the reply. Without ``refresh_token`` the presented one stays valid."""
    access_expires_in_s: float | None = None


class Then(Enum):
    AGENT = "agent"
    REPEAT_LAST = "repeat-last"


@frozen
class Script:
    replies: tuple[Reply, ...] = ()
    then: Then = Then.AGENT


def parse_script(data: Any) -> Script:
    """Read a script from a JSON text or value.

    Raises:
        ValueError: names each wrong key.
    """
    value = loads(data) if isinstance(data, str | bytes) else data
    return _structure(value, Script)


def parse_reply(data: Mapping[str, Any]) -> Reply:
    """Read one reply. Raises ValueError like ``parse_script``."""
    return _structure(data, Reply)


def parse_token_reply(data: Mapping[str, Any]) -> TokenReply:
    """Read one reply of ``/oauth/token``. Raises ValueError like ``parse_script``."""
    return _structure(data, TokenReply)


def matches(when: When, body: Mapping[str, Any]) -> bool:
    """Whether a request matches every key of ``when``."""
    output_format = ((body.get("text") or {}).get("format") or {}).get("type")
    return (
        (when.model is None or when.model == body.get("model"))
        and (when.contains is None or when.contains in dumps(body).decode())
        and (when.last_user_contains is None or when.last_user_contains in find_last_user_text(body))
        and (when.tool is None or any(tool.get("name") == when.tool for tool in body.get("tools") or ()))
        and (when.output_format is None or when.output_format == output_format)
    )


def find_last_user_text(body: Mapping[str, Any]) -> str:
    """The texts of the last user message, joined by line feeds; "" without one."""
    for item in reversed(body.get("input") or []):
        if item.get("role") == "user":
            return read_text(item.get("content"))
    return ""


def read_text(content: Any) -> str:
    """The text in the content of a message or in the output of a call."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if isinstance(part.get("text"), str))


class ScriptBook:
    """The replies of a script, and which of them are still unused."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._unused: list[tuple[Reply, int]] = [(reply, reply.times) for reply in script.replies]

    def take(self, body: Mapping[str, Any]) -> Reply | None:
        """The reply to this request; None: the agent answers."""
        fitting = [
            *(entry for entry in self._unused if entry[0].when is not None and matches(entry[0].when, body)),
            *(entry for entry in self._unused if entry[0].when is None),
        ]
        if fitting:
            self._use(fitting[0])
            return fitting[0][0]
        in_order = [reply for reply in self._script.replies if reply.when is None]
        return in_order[-1] if in_order and self._script.then is Then.REPEAT_LAST else None

    def _use(self, entry: tuple[Reply, int]) -> None:
        reply, left = entry
        if reply.times == 0:
            return
        index = self._unused.index(entry)
        self._unused[index : index + 1] = [(reply, left - 1)] if left > 1 else []


_Form = TypeVar("_Form")


def _structure(value: Any, form: type[_Form]) -> _Form:
    try:
        return _CONVERTER.structure(value, form)
    except cattrs.BaseValidationError as refused:
        raise ValueError(f"bad script: {'; '.join(cattrs.transform_error(refused))}") from None


def _structure_item(data: Any, _: Any) -> Any:
    for key, form in _WRAPPED.items():
        if key in data:
            return _CONVERTER.structure(data[key], form)
    return _CONVERTER.structure(data, Refusing if "refusal" in data else Text)


def _structure_reply(data: Any, _: Any) -> Any:
    """``{"big_text": ...}`` stands for an output of only that item."""
    if isinstance(data, Mapping) and "big_text" in data:
        rest = {key: value for key, value in data.items() if key != "big_text"}
        data = {**rest, "output": [{"big_text": data["big_text"]}]}
    return _REPLY_FROM_DICT(data, Reply)


def _strict(form: type[Any], *accepted: type[Any]) -> Any:
    def structure(value: Any, _: Any) -> Any:
        if type(value) not in (form, *accepted):
            raise ValueError(f"{value!r} is not a {form.__name__}")
        return form(value)

    return structure


def _build_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for form, *accepted in ((str,), (int,), (float, int), (bool,)):
        converter.register_structure_hook(form, _strict(form, *accepted))
    converter.register_structure_hook(bool | str, lambda value, _: value)
    converter.register_structure_hook(Item, _structure_item)
    converter.register_structure_hook(
        BigText, make_dict_structure_fn(BigText, converter, size_bytes=override(rename="bytes"))
    )
    return converter


_CONVERTER = _build_converter()
_REPLY_FROM_DICT = make_dict_structure_fn(Reply, _CONVERTER, failed_as=override(rename="as"))
_CONVERTER.register_structure_hook(Reply, _structure_reply)
