"""JSON-RPC 2.0 without I/O, one message per line, for both ends of the control socket.

:meth:`Connection.receive_data` turns bytes into messages, :func:`encode` turns a message into bytes. An unreadable
message becomes :class:`Malformed`, to be answered with :attr:`Malformed.failure`.

Source: https://www.jsonrpc.org/specification. Import law: standard library only.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn, TypeAlias

from codexd import bounds

Id: TypeAlias = str | int | float | None
Params: TypeAlias = dict[str, Any] | list[Any]


class ErrorCode(enum.IntEnum):
    """The codes of the specification, and codexd's own: ``REFUSED``, for errors that users can fix (``data.kind``)."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    REFUSED = -32000


class Request(NamedTuple):
    """A call. ``id`` may be any JSON string, number or null; the reply has the same one."""

    id: Id
    method: str
    params: Params | None = None


class Notification(NamedTuple):
    """A call that gets no reply."""

    method: str
    params: Params | None = None


class Result(NamedTuple):
    id: Id
    result: Any


class Failure(NamedTuple):
    """An error reply. ``id`` is None if the request's id could not be read."""

    id: Id
    code: int
    message: str
    data: Any = None


class Malformed(NamedTuple):
    """Something the peer sent that is not a message."""

    code: ErrorCode
    problem: str

    @property
    def failure(self) -> Failure:
        return Failure(None, self.code, self.problem, {"kind": self.code.name.lower()})


Single: TypeAlias = Request | Notification | Result | Failure | Malformed


class Batch(NamedTuple):
    """Several messages on one line. Their replies, if any, go back as one batch."""

    messages: tuple[Single, ...]


Message: TypeAlias = Single | Batch


class State(enum.Enum):
    OPEN = "open"
    BROKEN = "broken"
    """A line was too long, so the start of the next one is unknown. Send the error, then close the connection."""


class Connection:
    """The receiving half of one connection: splits the bytes into lines and reads each line.

    The messages don't depend on how the bytes were split in transit.
    """

    def __init__(
        self,
        max_line_bytes: int = bounds.CONTROL_LINE_BYTES,
        make_object: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        """``make_object`` replaces each JSON object by a dict of another class."""
        self.state = State.OPEN
        self._make_object = make_object
        self._max_line_bytes = max_line_bytes
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes. Blank lines are skipped; after ``State.BROKEN`` none follow."""
        messages: list[Message] = []
        scan_from = len(self._buffer)
        self._buffer += data
        line_start = 0
        while self.state is State.OPEN:
            line_end = self._buffer.find(b"\n", scan_from)
            length = (len(self._buffer) if line_end < 0 else line_end) - line_start
            if length > self._max_line_bytes:
                self.state = State.BROKEN
                messages.append(_invalid(f"a line is longer than {self._max_line_bytes} bytes"))
            elif line_end < 0:
                break
            else:
                line = self._buffer[line_start:line_end]
                line_start = scan_from = line_end + 1
                messages += [_read_line(line, self._make_object)] if line.strip() else []
        del self._buffer[: len(self._buffer) if self.state is State.BROKEN else line_start]
        return messages


def encode(message: Message) -> bytes:
    r"""``message`` as one line, including the newline.

    ASCII only (``\u`` escapes), so that a lone surrogate in a string gets through.

    Raises:
        ValueError: a number is NaN or infinite, which JSON can't represent.
        TypeError: a value has a type that JSON can't represent.
    """
    return json.dumps(_to_json(message), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def join_batch(lines: Iterable[bytes]) -> bytes:
    """One batch of messages that are already encoded."""
    return b"[" + b",".join(line.rstrip(b"\n") for line in lines) + b"]\n"


def _to_json(message: Message) -> Any:
    envelope: dict[str, Any] = {"jsonrpc": "2.0"}
    match message:
        case Batch(messages):
            return [_to_json(one) for one in messages]
        case Malformed():
            return _to_json(message.failure)
        case Failure(id_, code, text, data):
            error = {"code": int(code), "message": text} | ({} if data is None else {"data": data})
            return envelope | {"id": id_, "error": error}
        case Result(id_, result):
            return envelope | {"id": id_, "result": result}
        case Request(id_, method, params):
            envelope |= {"id": id_, "method": method}
        case Notification(method, params):
            envelope |= {"method": method}
    return envelope if params is None else envelope | {"params": params}


def _read_line(line: bytearray, make_object: Callable[[dict[str, Any]], Any] | None) -> Message:
    try:
        value = json.loads(line.decode(), parse_constant=_refuse_constant, object_hook=make_object)
    except RecursionError:
        return Malformed(ErrorCode.PARSE_ERROR, "Parse error: nested too deeply")
    except ValueError as error:
        # A UnicodeDecodeError quotes the input in its text; a JSONDecodeError states only the position.
        where = str(error) if isinstance(error, json.JSONDecodeError) else "not UTF-8 JSON"
        return Malformed(ErrorCode.PARSE_ERROR, f"Parse error: {where}")
    if not isinstance(value, list):
        return _read_message(value)
    if not value:
        return _invalid("an empty batch")
    return Batch(tuple(_read_message(one) for one in value))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_message(value: Any) -> Single:
    if not isinstance(value, dict):
        return _invalid("a message must be an object")
    if value.get("jsonrpc") != "2.0":
        return _invalid('jsonrpc must be "2.0"')
    if "id" in value and not _is_id(value["id"]):
        return _invalid("id must be a string, a number or null")
    if "method" in value:
        return _read_call(value)
    if "id" in value and ("result" in value) != ("error" in value):
        return _read_reply(value)
    return _invalid("neither a call (method) nor a reply (id with either result or error)")


def _read_call(value: dict[str, Any]) -> Single:
    method, params = value["method"], value.get("params")
    if not isinstance(method, str):
        return _invalid("method must be a string")
    if "params" in value and not isinstance(params, dict | list):
        return _invalid("params must be an object or an array")
    return Request(value["id"], method, params) if "id" in value else Notification(method, params)


def _read_reply(value: dict[str, Any]) -> Single:
    if "result" in value:
        return Result(value["id"], value["result"])
    error = value["error"]
    match error:
        case {"code": bool()}:
            pass
        case {"code": int(code), "message": str(text)}:
            return Failure(value["id"], code, text, error.get("data"))
    return _invalid("error must be an object with a code and a message")


def _is_id(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)  # 1e999 is read as infinity, which can't be sent back
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _invalid(problem: str) -> Malformed:
    return Malformed(ErrorCode.INVALID_REQUEST, f"Invalid request: {problem}")
