"""What a client API provides: a request that becomes a body for the backend, and a stream of events for the client.

Each client API is a folder here. Its ``api`` exports both as one value, a ``ClientApi``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Protocol, TypeVar, runtime_checkable

from attrs import frozen

from codexd.errors import CodexdError
from codexd.translation.backend import Usage
from codexd.translation.models.catalogue import ModelInfo
from codexd.translation.reading.losses import Losses
from codexd.translation.reading.tool_names import ToolNames

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


class Purpose(Enum):
    """What a request is for, where that decides about its model."""

    TURN = "turn"
    AUTO_MODE_CHECK = "auto mode check"
    """Claude Code asks whether an action is safe, to run it unasked."""


@frozen
class Target:
    """Where one attempt goes.

    ``account_tag`` stands for the account (``reasoning.tag_account``). ``default_effort`` is used if the request names
    no effort, and ``default_tier`` if it names no service tier. ``keep_reasoning`` is False once the backend has
    rejected earlier reasoning as stale: all of it is left out.
    """

    model: ModelInfo
    account_tag: str = ""
    default_effort: str | None = None
    default_tier: str | None = None
    keep_reasoning: bool = True


class State(Enum):
    """How far an answer has got. Before STARTED, the client has received none of it."""

    WAITING = "waiting"
    STARTED = "started"
    ENDED = "ended"


class AnswerStream(Protocol):
    """One answer: the backend's events in, the client's events out. The same input always gives the same output."""

    @property
    def state(self) -> State: ...

    @property
    def usage(self) -> Usage | None:
        """Known once the answer is ENDED."""

    @property
    def stop_reason(self) -> str | None:
        """As the client API names it; known once the answer is ENDED."""

    @property
    def output_tokens(self) -> int:
        """An estimate of the answer so far."""

    @property
    def is_empty(self) -> bool:
        """Whether the answer ended with nothing in it. Such an answer is worth another attempt."""

    def receive_event(self, event: Event, *, now: float) -> list[Event]:
        """The client's events for one of the backend's; ``now`` is in seconds since the epoch.

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
    def purpose(self) -> Purpose: ...

    @property
    def session_key(self) -> str:
        """The same for all requests of one conversation, whichever model they go to."""

    @property
    def tool_names(self) -> ToolNames:
        """The client's names of the tools that the backend knows by shorter ones."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The client's protocol headers that are sent to the backend in addition to codexd's own."""

    def to_backend(self, target: Target) -> Body:
        """The body for the backend.

        Raises:
            RequestInvalid: names the field.
        """

    def locate(self, part: Mapping[str, Any]) -> str | None:
        """Where the client's own request has the image or file that became ``part`` of a body; None if unknown."""

    def open_stream(self, body: Body, target: Target, request_id: str) -> AnswerStream:
        """The answer to ``body``, which ``to_backend`` made for ``target``."""


@runtime_checkable
class AnswersAlone(Protocol):
    """A request that is answered without a model."""

    def answer_alone(self, request_id: str, input_tokens: int) -> list[Event]:
        """The whole answer; ``input_tokens`` is the size of the request."""


class Collector(Protocol):
    """Assembles the events of one answer, for a client that did not ask for a stream."""

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


R = TypeVar("R", bound=ClientRequest)


class ClientApi(Protocol[R]):
    """A client API: how its requests are read and its answers encoded."""

    @property
    def ping(self) -> bytes:
        """A frame that only shows that the stream is alive."""

    @property
    def end(self) -> bytes:
        """What follows the last event of a complete answer."""

    def parse(self, data: bytes, headers: Mapping[str, str], client: Client, *, now: float) -> R:
        """The request in the HTTP body ``data``.

        ``headers`` has lower-case names; ``now`` is in seconds since the epoch.

        Raises:
            RequestInvalid: names the field.
        """

    def encode(self, event: Event) -> bytes:
        """``event`` as a frame of the stream."""

    def make_collector(self) -> Collector: ...

    def relay_headers(self, headers: Mapping[str, str], wanted: R) -> dict[str, str]:
        """The backend's headers that are passed on to the client of ``wanted``."""

    def to_wire(self, error: CodexdError, client: Client, wanted: R | None, *, now: float) -> WireError:
        """``error`` in the form that this client expects.

        ``wanted`` is None if the request could not be read; ``now`` is in seconds since the epoch.
        """

    def encode_error(self, wire: WireError, request_id: str) -> bytes:
        """``wire`` as the last frame of a stream that has begun."""
