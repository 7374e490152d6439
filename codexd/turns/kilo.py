"""Kilo as a provider, only for requests with the model name ``kilo``.

No account, no token, one attempt: the client gets Kilo's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from attrs import frozen

from codexd.errors import CodexdError, KiloDisabled, RequestInvalid
from codexd.settings.schema import Settings
from codexd.translation.backend import COMPACTION_TRIGGER
from codexd.translation.client_api import Body, Event, Target
from codexd.translation.kilo.models import KILO, describe, is_kilo
from codexd.translation.kilo.request import to_chat
from codexd.translation.reading.losses import Losses
from codexd.turns.turn import Attempt, Turn
from codexd.upstream.event_source import EventSource
from codexd.upstream.kilo import FreeModels, KiloBackend

_DISABLED = (
    "The model name kilo leads to a third party, {host}, and is switched off. If you switch it on, such requests go to "
    "{host} instead of your ChatGPT plan: whoever runs the free model can read the whole conversation with its files "
    "and tool results, and may log it and train on it. "
    "To opt in: `codexctl settings set kilo.enabled true`"
)


@frozen
class Kilo:
    """``settings`` returns the current settings."""

    settings: Callable[[], Settings]
    backend: KiloBackend
    models: FreeModels

    def serves(self, asked: str) -> bool:
        return is_kilo(asked, self.settings().models.aliases)

    def target_for(self, asked: str) -> Target:  # noqa: ARG002 - one name, one model
        slug = self.settings().kilo.model
        return Target(describe(slug, self.models.find_window(slug)), account_tag=KILO)

    async def choose(self, turn: Turn) -> Attempt:
        """The only possible choice.

        Raises:
            KiloDisabled: the user has not opted in; nothing was sent.
        """
        if not self.settings().kilo.enabled:
            raise KiloDisabled(_DISABLED.format(host=self.backend.host))
        attempt = Attempt(self.target_for(turn.request.model))
        turn.record.note_model_used(attempt.model)
        return attempt

    async def authorize(self, turn: Turn, attempt: Attempt) -> Attempt:  # noqa: ARG002 - Kilo needs no token
        return attempt

    def adapt(self, body: Body, attempt: Attempt, losses: Losses) -> Body:
        if body["input"] and body["input"][-1].get("type") == COMPACTION_TRIGGER:
            raise RequestInvalid("model", f"{KILO} supports conversations only; use one of the backend's models")
        return to_chat(body, attempt.model, losses)

    def send(self, turn: Turn, attempt: Attempt, body: Body, adapted: Body) -> AbstractAsyncContextManager[EventSource]:  # noqa: ARG002
        turn.record.note_third_party(self.backend.host)
        return self.backend.respond(adapted, body, turn.record)

    def note_events(self, attempt: Attempt, events: Sequence[Event], now: float) -> None:
        pass  # Kilo reports no limits

    def note_answer(self, turn: Turn, attempt: Attempt, body: Body) -> None:
        pass  # nothing is remembered about its sessions

    def note_failure(self, turn: Turn, attempt: Attempt, error: CodexdError) -> CodexdError:  # noqa: ARG002
        return error

    def retry_context(self, turn: Turn, attempt: Attempt) -> None:
        """None: there is only one attempt."""
