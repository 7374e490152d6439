"""One turn with Kilo, for requests whose model name is ``kilo`` and for no others.

No account, no token, one attempt: what Kilo answers is what the client gets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen

from codexd.errors import EmptyAnswer, KiloDisabled, RequestInvalid
from codexd.record.requests import RequestLog
from codexd.settings.schema import Settings
from codexd.translation.client_api import Target
from codexd.translation.kilo.models import KILO, describe, is_kilo
from codexd.translation.kilo.request import to_chat
from codexd.turns.turn import Turn, pump, refuse_drops, relay
from codexd.upstream.kilo import FreeModels, KiloBackend

_DISABLED = (
    "The model name kilo leads to a third party, {host}, and is switched off. Switched on, such requests leave this "
    "machine for {host} instead of your ChatGPT plan: the whole conversation with its files and tool results, read by "
    "whoever runs the free model, who may log it and train on it. To opt in: `codexctl settings set kilo.enabled true`"
)


@frozen
class KiloRunner:
    """``settings`` gives those that hold now, ``clock`` seconds since the epoch."""

    settings: Callable[[], Settings]
    backend: KiloBackend
    models: FreeModels
    requests: RequestLog
    clock: Callable[[], float]

    def serves(self, asked: str) -> bool:
        return is_kilo(asked, self.settings().models.aliases)

    def aim(self) -> Target:
        slug = self.settings().kilo.model
        return Target(describe(slug, self.models.find_window(slug)), account_tag=KILO)

    async def run(self, turn: Turn) -> None:
        """Answer ``turn`` through its sink.

        Raises:
            KiloDisabled: the user has not opted in; nothing was sent.
            CodexdError
        """
        turn.record.note_session(turn.session)
        if not self.settings().kilo.enabled:
            raise KiloDisabled(_DISABLED.format(host=self.backend.host))
        target = self.aim()
        model = target.model.slug
        turn.record.note_model_used(model)
        body = turn.request.to_responses(target)
        if not body.get("stream"):  # of another endpoint of the backend, such as compaction
            raise RequestInvalid("model", f"{KILO} answers conversations only; the backend's models can do this")
        chat = to_chat(body, model, turn.request.losses)
        if self.settings().translation.strict:
            refuse_drops(turn.request)
        stream = turn.stream = turn.request.open_stream(body, target, turn.request_id)
        turn.record.note_third_party(self.backend.host)
        turn.record.note_asked(model, partial(getattr, stream, "output_tokens"))
        async with self.backend.respond(chat, body, turn.record) as source:
            await pump(
                turn,
                source,
                lambda events: relay(turn, stream, events, now=self.clock(), at=self.requests.now()),
                self.requests.now,
            )
            turn.record.note_answer(stream.usage, stream.stop_reason)
            if source.terminated:
                await source.read_tail()
        if stream.is_empty and not turn.request.stream:
            raise EmptyAnswer(f"{self.backend.host} completed an empty answer", status=200)
