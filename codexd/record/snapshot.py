"""One model request as others read it: frozen, at one moment or as it ended."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from codexd.api.records import RequestInfo, TokenCounts
from codexd.translation.client_api import Client

CLIENT_LEFT_KIND = "client_left"
"""The error kind of a request whose client disconnected before it was answered."""

STOPPED, CANCELLED = "stopped", "cancelled"
"""The states of requests that did not fail but were ended: by their client, who hung up, and with ``codexctl``."""


class StepName(Enum):
    RECEIVED = "received"
    CHOSEN = "account chosen"
    WAITED = "waited for a limit"
    TOKEN = "waited for a token"  # noqa: S105 - a step's name
    ASKED = "asked"
    CONNECTED = "connected"
    SENT = "sent"
    HEADERS = "headers"
    SILENT = "silent"
    FIRST_EVENT = "first event"
    FIRST_TOKEN = "first token"  # noqa: S105 - a step's name
    RETRY = "retry"
    END = "end"


@frozen
class Step:
    """A step, ``at_ms`` after the request came in. ``note`` completes the step's sentence (``why.py``)."""

    at_ms: int
    name: StepName
    note: str = ""


@frozen
class Snapshot:
    """A request at one moment, or as it ended.

    ``elapsed_ms`` counts from the request's arrival, ``silent_ms`` from the backend's last bytes, or from when it was
    asked (None before that). ``third_party`` is the host that was asked instead of the backend. ``resets_at`` is when
    the limit that the request hit ends, in seconds since the epoch. ``losses_reported`` counts the dropped and
    approximated fields.
    """

    info: RequestInfo
    method: str
    account_id: str | None
    third_party: str | None
    resets_at: float | None
    losses_reported: int
    caller: Client
    elapsed_ms: int
    silent_ms: int | None
    steps: tuple[Step, ...]

    @property
    def counted(self) -> TokenCounts | None:
        """The tokens as counted by the backend; None while there is only an estimate."""
        tokens = self.info.tokens
        return None if tokens is None or tokens.estimated else tokens

    @property
    def ended_at(self) -> float:
        """In seconds since the epoch; for a running request, the moment of the snapshot."""
        return self.info.started_at + self.elapsed_ms / 1000

    @property
    def is_probe(self) -> bool:
        """Whether it asked for something that clients ask for just in case, such as ChatGPT's plugins."""
        return self.info.model is None and (self.method != "POST" or self.info.path.startswith("/backend-api/"))

    @property
    def was_ended_by_user(self) -> bool:
        return self.info.state in (STOPPED, CANCELLED)

    @property
    def has_failed(self) -> bool:
        return self.info.state == "failed"
