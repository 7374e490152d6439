"""What a provider of models does for a turn. A new provider is one file beside ``chatgpt`` and ``kilo``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from codexd.errors import CodexdError
from codexd.translation.client_api import Body, Event, Target
from codexd.translation.reading.losses import Losses
from codexd.turns.retry import RetryContext
from codexd.turns.turn import Attempt, Turn
from codexd.upstream.event_source import EventSource


class Provider(Protocol):
    """A destination of model requests."""

    def serves(self, asked: str) -> bool:
        """Whether requests for this model name go to this provider."""

    def target_for(self, asked: str) -> Target:
        """The target that a request for this model name would have now. Used to count tokens; needs no account."""

    async def choose(self, turn: Turn) -> Attempt:
        """The next attempt, without its token. Waits if a limit is about to end.

        Raises:
            CodexdError: says why nothing can serve the request.
        """

    async def authorize(self, turn: Turn, attempt: Attempt) -> Attempt:
        """``attempt`` with a valid token.

        Raises:
            AccountError: there is no valid token.
        """

    def adapt(self, body: Body, attempt: Attempt, losses: Losses) -> Body:
        """The translated ``body`` in this provider's format, ready to be sent.

        Raises:
            RequestInvalid: the provider does not support the request.
        """

    def send(self, turn: Turn, attempt: Attempt, body: Body, adapted: Body) -> AbstractAsyncContextManager[EventSource]:
        """Send ``adapted``, made from ``body``, and yield the events of the answer; leaving the context ends both.

        Raises:
            UpstreamError: the provider refused, or could not be reached.
        """

    def note_events(self, attempt: Attempt, events: Sequence[Event], now: float) -> None:
        """Inspect the events of an answer before they are translated. On the hot path."""

    def note_answer(self, turn: Turn, attempt: Attempt, body: Body) -> None:
        """The answer to ``body`` is complete."""

    def note_failure(self, turn: Turn, attempt: Attempt, error: CodexdError) -> CodexdError:
        """Remember what ``error`` means for other requests; return the error to report to the user."""

    def retry_context(self, turn: Turn, attempt: Attempt) -> RetryContext | None:
        """The facts for the decision about a failed attempt; None if this provider gets only one attempt."""
