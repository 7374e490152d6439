"""A request in plain words: its timeline, what it came to, what happens next and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codexd.api.records import Explanation, TimelineStep
from codexd.record.advice import find_advice
from codexd.record.info import to_info
from codexd.record.timeline import RequestRecord, Step, StepName
from codexd.translation.wire_errors import say_until

BACKEND = "the backend"

LONG_SILENCE_S = 5.0
"""A pause of the backend that is worth a sentence."""

_SENTENCES: Mapping[StepName, str] = {
    StepName.RECEIVED: "{client} sent {path}.",
    StepName.CHOSEN: "Chose the account {note}.",
    StepName.WAITED: "Had waited {note}, whose limit was about to end.",
    StepName.TOKEN: "Had waited {note} for a fresh access token.",
    StepName.ASKED: "Asked {server} for {note}.",
    StepName.CONNECTED: "Connected to {host}, which took {took}.",
    StepName.SENT: "Sent the request, which took {took}.",
    StepName.HEADERS: "{Host} answered HTTP {note} after {took}.",
    StepName.FIRST_EVENT: "Its first event came after {took} more.",
    StepName.FIRST_TOKEN: "The first piece of the answer went to the client.",
    StepName.RETRY: "Tried again {note}.",
}


def explain(record: RequestRecord, *, now: float, wall_now: float) -> Explanation:
    """``record`` explained at ``now``, by its own clock, which is ``wall_now`` in seconds since the epoch."""
    return Explanation(
        request=to_info(record),
        timeline=tuple(_tell_steps(record, now)),
        summary=" ".join(_summarize(record, now)),
        advice=tuple(_advise(record, wall_now)),
    )


def _tell_steps(record: RequestRecord, now: float) -> Iterator[TimelineStep]:
    before_ms = 0
    for step in record.steps:
        yield TimelineStep(step.at_ms, _tell_step(record, step, step.at_ms - before_ms))
        before_ms = step.at_ms
    if record.ended is None:
        yield TimelineStep(round((now - record.started) * 1000), _tell_state(record, now))


def _tell_step(record: RequestRecord, step: Step, took_ms: int) -> str:
    if step.name is StepName.END:
        return _tell_end(record)
    return _SENTENCES[step.name].format(
        client=record.client,
        path=f"{record.method} {record.path}" + (f" for the model {record.model}" if record.model else ""),
        note=step.note.removesuffix("."),
        took=_say_s(took_ms / 1000),
        server=f"the third party {record.third_party}" if record.third_party else BACKEND,
        host=_name_host(record),
        Host=_begin(_name_host(record)),
    )


def _tell_end(record: RequestRecord) -> str:
    if record.error is not None:
        return f"It ended with an error: {_end_sentence(record.error)}"
    reason = f" (stop reason {record.stop_reason})" if record.stop_reason else ""
    return f"The answer was complete{reason}."


def _tell_state(record: RequestRecord, now: float) -> str:
    tokens = f"; about {record.output_tokens} tokens so far" if record.output_tokens else ""
    silence = f"; {_name_host(record)} has been silent for {_say_s(now - record.heard_at)}" if record.heard_at else ""
    return f"It is still running{tokens}{silence}."


# -- in short -------------------------------------------------------------------------------------


def _summarize(record: RequestRecord, now: float) -> Iterator[str]:
    asked = f"{record.client} asked for {record.model or 'no model that could be read'}"
    place = f" at the third party {record.third_party}" if record.third_party else ""
    used = f", which went to {record.model_used}{place}" if record.model_used else ""
    account = f", on the account {record.account}: {record.account_reason}" if record.account else ""
    yield f"{asked}{used}{account}."
    yield _summarize_outcome(record, now)
    if record.told is not None:
        how = "inside the answer" if record.told.status == 200 else f"by HTTP {record.told.status}"
        words = " in these words." if record.told.message == record.error else f": {_end_sentence(record.told.message)}"
        yield f"The client was told {how} ({record.told.type}){words}"
    if record.error and record.upstream_status:
        id_ = f", under its id {record.upstream_request_id}" if record.upstream_request_id else ""
        yield f"{_begin(_name_host(record))} had answered HTTP {record.upstream_status}{id_}."
    if record.longest_silence_s >= LONG_SILENCE_S:
        yield f"{_begin(_name_host(record))} was silent for up to {_say_s(record.longest_silence_s)}."


def _summarize_outcome(record: RequestRecord, now: float) -> str:
    retries = f", tried {record.retries + 1} times" if record.retries else ""
    if record.ended is None:
        return f"It has been running for {_say_s(now - record.started)}{retries}."
    took = f"after {_say_s(record.ended - record.started)}{retries}"
    return f"It failed {took}: {_end_sentence(record.error)}" if record.error else f"It was answered {took}."


def _advise(record: RequestRecord, wall_now: float) -> Iterator[str]:
    if record.error_kind is not None:
        advice = find_advice(record.error_kind, third_party=record.third_party is not None)
        words = {"id": record.id, "host": record.third_party}
        yield advice.next.format(**words)
        if record.resets_at is not None and record.resets_at > wall_now:
            yield f"That will be {say_until(record.resets_at, wall_now)}."
        yield advice.do.format(**words)
    elif record.ended is None:
        yield "`codexctl top` shows how it goes on, and can end it."
    if told := record.losses.reported:
        yield (
            f"Its translation dropped or approximated {told} field{'s' if told > 1 else ''} of the request; "
            "`codexctl requests` lists them."
        )


# -- words ----------------------------------------------------------------------------------------


def _name_host(record: RequestRecord) -> str:
    return record.third_party or BACKEND


def _begin(text: str) -> str:
    """``text`` as a sentence begins; the name of a host stays as it is."""
    return "The backend" if text == BACKEND else text


def _say_s(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _end_sentence(text: str | None) -> str:
    text = text or ""
    return text if text.endswith((".", "!", "?")) else f"{text}."
