"""What a fault does to an answer: the refusal in its place, or its events changed on their way out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any

from attrs import define

from codexd.simulator.faults import Fault, Kind
from codexd.simulator.limits import USED_UP
from codexd.simulator.refusals import Refusal, error, html

STRAY_MARK = "nobody-asked-for-this"
"""Stands in every answer that is sent in addition to the real one: no client may ever get it."""

_STRAY_BODY = (
    f'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta","delta":"{STRAY_MARK}"}}\n\n'
    'event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_stray","status":"completed",'
    '"output":[],"usage":null}}\n\n'
)
_STRAY: Mapping[Kind, bytes] = {
    Kind.STRAY_ANSWER: (
        f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(_STRAY_BODY)}\r\n\r\n{_STRAY_BODY}"
    ).encode(),
    Kind.STRAY_BYTES: f"\r\n{STRAY_MARK}\x00\xff\r\n\r\n".encode("latin-1"),
}


def make_stray(fault: Fault | None) -> bytes:
    """The bytes that follow the answer, on the same connection."""
    return _STRAY.get(fault.kind, b"") if fault is not None else b""


def make_refusal(fault: Fault, now: float) -> Refusal | None:
    """The answer that takes the place of the real one; None: the fault lets the request through."""
    match fault.kind:
        case Kind.STATUS:
            return _make_status(fault)
        case Kind.RETRY_AFTER:
            refusal = error("Rate limit reached for requests.", code="rate_limit_exceeded", status=429)
            return Refusal(429, refusal.body, {"retry-after": str(fault.value)})
        case Kind.LIMIT:
            resets = {"resets_at": int(now) + fault.value, "resets_in_seconds": fault.value}
            limit = {"type": "usage_limit_reached", "message": USED_UP, "plan_type": "plus", **resets}
            return Refusal(429, {"error": limit})
        case Kind.TYPE_HTML:
            return Refusal(200, "<html><head><title>Sign in to the network</title></head><body>Hotel</body></html>")
        case Kind.TYPE_JSON:
            return Refusal(200, ({"ok": True}, [], "ok", None, 7)[fault.place % 5] or {})
        case Kind.TOKEN_REJECTED:
            message = "Provided authentication token is expired. Please try signing in again."
            return error(message, code="token_expired", status=401)
    return None


def _make_status(fault: Fault) -> Refusal:
    """Half of them come from the proxy in front of the backend, in HTML."""
    try:
        phrase = HTTPStatus(fault.value).phrase
    except ValueError:
        phrase = "Failed"
    if fault.place % 2:
        return html(fault.value, phrase)
    return error(f"{phrase}. (Simulated fault.)", code="server_error", status=fault.value)


def make_token_reply(fault: Fault) -> dict[str, Any]:
    """The reply of ``/oauth/token``, as data (``scripts.py``)."""
    match fault.kind:
        case Kind.TOKEN_SHORT:
            return {"access_expires_in_s": fault.value}
        case Kind.TOKEN_REUSED:
            return {"code": "refresh_token_reused"}
        case Kind.TOKEN_LOST:
            return {"drop": "after"}
    refusal = html(fault.value, "Service Unavailable")
    return {"error": {"status": fault.value, "body": refusal.body}}


class Then(Enum):
    """How an answer goes on after a part of it."""

    GO_ON = "go on"
    END = "end"
    """It ends here, properly."""
    COMMENTS = "comments"
    """Only comments follow, until the client hangs up."""


COMMENT = b": still here\n\n"
_UNKNOWN = b'event: response.mood.changed\ndata: {"type":"response.mood.changed","mood":{"value":[1,null]}}\n\n'
_MALFORMED = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\n\n'
_FAILED = (
    b'event: response.failed\ndata: {"type":"response.failed","response":{"id":"resp_failed","status":"failed",'
    b'"error":{"code":"server_is_overloaded","message":"Our servers are currently overloaded."}}}\n\n'
)
_ENDS = (b"event: response.completed\n", b"event: response.incomplete\n", b"data: [DONE]")
_DELTA = re.compile(rb'"delta":(?:"(?:[^"\\]|\\.)*"|\{)')


@define
class EventDamage:
    """Changes the events of one answer. ``deltas`` counts those that have passed."""

    fault: Fault
    deltas: int = 0
    held: bytes = b""

    def apply(self, data: bytes) -> tuple[bytes, Then]:
        """``data``, which is whole events, as the fault changes it, and how the answer goes on."""
        changed = []
        for event in _split(data):
            out, then = self._change(event)
            changed.append(out)
            if then is not Then.GO_ON:
                return b"".join(changed), then
        return b"".join(changed), Then.GO_ON

    def _change(self, event: bytes) -> tuple[bytes, Then]:
        if event.startswith(_ENDS):
            return self._change_end(event)
        if b'"delta"' not in event:
            return event, Then.GO_ON
        self.deltas += 1
        if self.held:
            held, self.held = self.held, b""
            return event + held, Then.GO_ON
        if self.deltas != self.fault.place:
            return event, Then.GO_ON
        return self._change_delta(event)

    def _change_end(self, event: bytes) -> tuple[bytes, Then]:
        held, self.held = self.held, b""
        if self.fault.kind is Kind.EVENT_UNFINISHED:
            return held, Then.END
        return held + event, Then.GO_ON

    def _change_delta(self, event: bytes) -> tuple[bytes, Then]:
        match self.fault.kind:
            case Kind.EVENT_SWAPPED:
                self.held = event
                return b"", Then.GO_ON
            case Kind.EVENT_FAILED:
                return event + _FAILED, Then.END
            case Kind.EVENT_COMMENTS:
                return event + COMMENT, Then.COMMENTS
        change = _CHANGES.get(self.fault.kind)
        return (change(event) if change else event), Then.GO_ON


def _lose(_event: bytes) -> bytes:
    return b""


def _confuse_types(event: bytes) -> bytes:
    return _DELTA.sub(b'"delta":{"text":7}' if event.endswith(b'"}\n\n') else b'"delta":7', event, count=1)


_CHANGES: Mapping[Kind, Callable[[bytes], bytes]] = {
    Kind.EVENT_UNKNOWN: lambda event: _UNKNOWN + event,
    Kind.EVENT_MALFORMED: lambda _event: _MALFORMED,
    Kind.EVENT_LOST: _lose,
    Kind.EVENT_TWICE: lambda event: event + event,
    Kind.TYPE_FIELDS: _confuse_types,
}


def _split(data: bytes) -> Iterator[bytes]:
    """The events in ``data``, each with the empty line that ends it."""
    *events, rest = data.split(b"\n\n")
    yield from (event + b"\n\n" for event in events)
    if rest:
        yield rest
