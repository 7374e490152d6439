"""What a turn with the backend needs of a client's request and of its answer, whichever API the client speaks.

Each client API is a folder here that has both: its request becomes a body for the backend, and the backend's
events become its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Protocol

from attrs import frozen

from codexd.translation.backend import Usage
from codexd.translation.models.routes import ModelInfo
from codexd.translation.reading.losses import Losses

Body = dict[str, Any]
"""A request for the backend."""

Event = dict[str, Any]
"""One event of a stream: the backend's, or one of a client API."""


class Client(Enum):
    """Who sent a request, where an answer depends on it."""

    CLAUDE_CODE = "claude_code"
    CODEX = "codex"
    """The Codex CLI, or another of OpenAI's own clients."""
    OTHER = "other"


@frozen
class Target:
    """Where one attempt goes.

    ``account_tag`` is that of the account, from ``reasoning.tag_account``; ``default_effort`` counts where the request
    does not say; without ``keep_reasoning`` all earlier reasoning is left out, after the backend called it stale.
    """

    model: ModelInfo
    account_tag: str = ""
    default_effort: str | None = None
    keep_reasoning: bool = True


class State(Enum):
    """How far an answer has come. Until it is STARTED nothing of it has gone to the client."""

    WAITING = "waiting"
    STARTED = "started"
    ENDED = "ended"


class AnswerStream(Protocol):
    """One answer: the backend's events in, the client's events out. The same in always gives the same out."""

    @property
    def state(self) -> State: ...

    @property
    def usage(self) -> Usage | None:
        """Known once it is ENDED."""

    @property
    def stop_reason(self) -> str | None:
        """In the client API's own word, once it is ENDED."""

    @property
    def output_tokens(self) -> int:
        """An estimate of the answer so far."""

    @property
    def is_empty(self) -> bool:
        """Whether the answer came to its end with nothing in it, which is worth another try."""

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The client's events that one of the backend's makes; ``now`` in seconds since the epoch.

        Raises:
            UpstreamError: the event reports a failure.
        """


class ClientRequest(Protocol):
    """One request for a model, read and checked."""

    @property
    def model(self) -> str:
        """As the client named it."""

    @property
    def stream(self) -> bool: ...

    @property
    def losses(self) -> Losses: ...

    @property
    def session_key(self) -> str:
        """What the requests of one conversation have in common, whichever model each of them goes to."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the protocol that go to the backend with it, beside our own."""

    def to_responses(self, target: Target) -> Body:
        """The body for the backend.

        Raises:
            RequestInvalid: names the field.
        """

    def open_stream(self, body: Body, target: Target, request_id: str) -> AnswerStream:
        """The answer to ``body``, which ``to_responses`` made for ``target``."""


class Collector(Protocol):
    """Puts the events of one answer together, for a client that did not ask for a stream."""

    @property
    def document(self) -> dict[str, Any]: ...

    def receive_events(self, events: Iterable[Event]) -> None: ...


class WireError(Protocol):
    """An error in a client API's own shape."""

    @property
    def status(self) -> int: ...

    @property
    def type(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def to_body(self, request_id: str) -> dict[str, Any]:
        """The body of an error answer."""
