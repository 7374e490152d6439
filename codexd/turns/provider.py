"""What a provider of models has to do for a turn: a new one is one file beside ``chatgpt`` and ``kilo``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from codexd.errors import CodexdError
from codexd.translation.client_api import Body, Event, Target
from codexd.translation.reading.losses import Losses
from codexd.turns.retry import Standing
from codexd.turns.turn import Attempt, Turn
from codexd.upstream.http import EventSource


class Provider(Protocol):
    """Where requests go."""

    def serves(self, asked: str) -> bool:
        """Whether the model name that a client asked for leads here."""

    def target_for(self, asked: str) -> Target:
        """Where a request for the model would go now, for counting its tokens: works without an account."""

    async def choose(self, turn: Turn) -> Attempt:
        """What the next attempt goes with, but for its token; waits where a limit is about to end.

        Raises:
            CodexdError: nothing can serve the request, and it says why.
        """

    async def authorize(self, turn: Turn, attempt: Attempt) -> Attempt:
        """``attempt`` with a token that is good now.

        Raises:
            AccountError: there is none.
        """

    def adapt(self, body: Body, attempt: Attempt, losses: Losses) -> Body:
        """``body``, which the translation made, as this provider takes it. It is sent as it comes out of here.

        Raises:
            RequestInvalid: the provider can't do what it asks for.
        """

    def send(self, turn: Turn, attempt: Attempt, body: Body, adapted: Body) -> AbstractAsyncContextManager[EventSource]:
        """Send ``adapted``, made of ``body``, and give the events of the answer; leaving the context ends both.

        Raises:
            UpstreamError: the provider refused, or could not be reached.
        """

    def note_events(self, attempt: Attempt, events: Sequence[Event], now: float) -> None:
        """See the events of an answer before they are translated. The hot path."""

    def note_answer(self, turn: Turn, attempt: Attempt, body: Body) -> None:
        """The answer to ``body`` is whole."""

    def note_failure(self, turn: Turn, attempt: Attempt, error: CodexdError) -> CodexdError:
        """Learn from ``error`` what other requests can use; the error as its user can act on it."""

    def find_standing(self, turn: Turn, attempt: Attempt) -> Standing | None:
        """What the decision about a failed attempt goes by; None if this provider gets one attempt."""
