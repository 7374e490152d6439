"""What ``codexctl why`` says about a request: its timeline, its outcome, what happens next, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codexd import errors
from codexd.api.records import Explanation, TimelineStep
from codexd.record.advice import find_advice
from codexd.record.snapshot import CANCELLED, STOPPED, Snapshot, Step, StepName
from codexd.translation.client_api import Purpose
from codexd.translation.reading.losses import REPORTED
from codexd.translation.wire_errors import say_until

BACKEND = "the backend"

LONG_SILENCE_MS = 5000
"""A pause of the backend that deserves a sentence."""

SHOWN_LOSSES = 3


def explain(request: Snapshot, *, wall_now: float) -> Explanation:
    """``request`` in plain words. ``wall_now`` is the time of the snapshot, in seconds since the epoch."""
    return Explanation(
        request=request.info,
        timeline=tuple(_list_steps(request)),
        summary=" ".join(_summarize(request)),
        advice=tuple(_advise(request, wall_now)),
    )


# -- the timeline ---------------------------------------------------------------------------------

_SENTENCES: Mapping[StepName, str] = {
    StepName.RECEIVED: "{client} sent {path}.",
    StepName.CHOSEN: "Chose the account {note}.",
    StepName.WAITED: "Waited {note}, whose limit was about to end.",
    StepName.TOKEN: "Waited {note} for a fresh access token.",
    StepName.ASKED: "Asked {server} for {note}.",
    StepName.CONNECTED: "Connected to {host}, which took {took}.",
    StepName.SENT: "Sent the request, which took {took}.",
    StepName.HEADERS: "{Host} answered HTTP {note} after {took}.",
    StepName.SILENT: "{Host} had sent nothing for {note}.",
    StepName.FIRST_EVENT: "The first event came {took} later.",
    StepName.FIRST_TOKEN: "The first piece of the answer went to the client.",
    StepName.RETRY: "Tried again {note}.",
}


def _list_steps(request: Snapshot) -> Iterator[TimelineStep]:
    before_ms = 0
    for step in request.steps:
        yield TimelineStep(step.at_ms, _describe_step(request, step, step.at_ms - before_ms))
        before_ms = step.at_ms
    if request.info.state == "running":
        yield TimelineStep(request.elapsed_ms, _describe_state(request))


def _describe_step(request: Snapshot, step: Step, took_ms: int) -> str:
    if step.name is StepName.END:
        return _describe_end(request)
    info = request.info
    return _SENTENCES[step.name].format(
        client=info.client,
        path=f"{request.method} {info.path}" + (f" for the model {info.model}" if info.model else ""),
        note=step.note.removesuffix("."),
        took=_format_ms(took_ms),
        server=f"the third party {request.third_party}" if request.third_party else BACKEND,
        host=_name_host(request),
        Host=_start_sentence(_name_host(request)),
    )


def _describe_end(request: Snapshot) -> str:
    if request.info.state == CANCELLED:
        return "The request was cancelled."
    if request.info.state == STOPPED:
        return f"The client hung up, {_say_progress(request)}."
    if request.info.error is not None:
        return f"The request failed: {_end_sentence(request.info.error)}"
    reason = f" (stop reason {request.info.stop_reason})" if request.info.stop_reason else ""
    return f"The answer was complete{reason}."


def _describe_state(request: Snapshot) -> str:
    count = request.info.tokens
    tokens = f"; about {count.output} tokens so far" if count and count.output else ""
    silence = "" if request.silent_ms is None else f"; {_name_host(request)} silent for {_format_ms(request.silent_ms)}"
    return f"Still running{tokens}{silence}."


# -- the summary ----------------------------------------------------------------------------------


def _summarize(request: Snapshot) -> Iterator[str]:
    info, host = request.info, _start_sentence(_name_host(request))
    yield _summarize_target(request)
    yield _summarize_outcome(request)
    if info.told is not None and info.state != CANCELLED:  # the outcome has said it
        how = "an error inside the answer" if info.told.status == 200 else f"HTTP {info.told.status}"
        text = ", in the same words." if info.told.message == info.error else f": {_end_sentence(info.told.message)}"
        yield f"The client got {how} ({info.told.type}){text}"
    if info.error and info.upstream_status:
        id_ = f" (its request id: {info.upstream_request_id})" if info.upstream_request_id else ""
        yield f"{host} had answered HTTP {info.upstream_status}{id_}."
    if info.longest_silence_ms is not None and info.longest_silence_ms >= LONG_SILENCE_MS:
        yield f"{host} was silent for up to {_format_ms(info.longest_silence_ms)}."


def _summarize_target(request: Snapshot) -> str:
    info = request.info
    asked = f"asked for {info.model}" if info.model else _describe_without_model(request)
    place = f" at the third party {request.third_party}" if request.third_party else ""
    asked += f", to check an action ({info.purpose})" if info.purpose == Purpose.AUTO_MODE_CHECK.value else ""
    used = f", which went to {info.model_used}{place}" if info.model_used else ""
    account = f", on the account {info.account}: {info.account_reason}" if info.account else ""
    return f"{info.client} {asked}{used}{account}."


_WITHOUT_MODEL = frozenset(
    each.kind
    for each in (
        errors.Forbidden,
        errors.KeyRejected,
        errors.ModelNotFound,
        errors.NoSuchRoute,
        errors.MethodNotAllowed,
    )
)
"""What is refused without a look at the body."""


def _describe_without_model(request: Snapshot) -> str:
    if request.info.error_kind in _WITHOUT_MODEL:
        return f"sent {request.method} {request.info.path}"
    return "sent a request without a readable model name"


def _summarize_outcome(request: Snapshot) -> str:
    info = request.info
    elapsed, attempts = _format_ms(request.elapsed_ms), info.retries + 1
    if info.state == "running":
        return f"It has been running for {elapsed}{f', now in attempt {attempts}' if info.retries else ''}."
    took = f"after {elapsed}{f' and {attempts} attempts' if info.retries else ''}"
    if not info.error:
        return f"It was answered {took}."
    if info.state == CANCELLED:
        return f"It was cancelled {took}; the client got an error that says so."
    if info.state == STOPPED:
        return f"It was stopped: the client hung up {took}, {_say_progress(request)}."
    return f"It failed {took}: {_end_sentence(info.error)}"


def _say_progress(request: Snapshot) -> str:
    """How much of the answer a client that hung up had received."""
    if request.info.ttft_ms is None:
        return "before any of the answer had come"
    tokens = request.info.tokens
    return "in the middle of the answer" + (f" (about {tokens.output} tokens)" if tokens and tokens.output else "")


# -- wording --------------------------------------------------------------------------------------


def _name_host(request: Snapshot) -> str:
    return request.third_party or BACKEND


def _start_sentence(host: str) -> str:
    """``host`` for the start of a sentence; a host name keeps its case."""
    return "The backend" if host == BACKEND else host


def _end_sentence(text: str | None) -> str:
    text = text or ""
    return text if text.rstrip('"').endswith((".", "!", "?")) else f"{text}."


def _format_ms(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 100_000 else f"{ms / 60_000:.0f} min"


# -- advice ---------------------------------------------------------------------------------------


def _advise(request: Snapshot, wall_now: float) -> Iterator[str]:
    info = request.info
    if info.error_kind is not None:
        advice = find_advice(
            info.error_kind, request_id=info.id, third_party=request.third_party, caller=request.caller
        )
        yield advice.by_itself
        if request.resets_at is not None and request.resets_at > wall_now:
            yield f"The limit ends {say_until(request.resets_at, wall_now)}."
        yield advice.to_do
    elif info.state == "running":
        yield f"`codexctl top` shows its progress; `codexctl requests cancel {info.id}` ends it."
    yield from _list_losses(request)


def _list_losses(request: Snapshot) -> Iterator[str]:
    losses = [loss for loss in request.info.losses if loss.kind in REPORTED]
    for loss in losses[:SHOWN_LOSSES]:
        yield f"codexd {loss.kind} the field {loss.path}: {_end_sentence(loss.note)}"
    more = request.losses_reported - min(len(losses), SHOWN_LOSSES)
    if more:
        yield f"It dropped or approximated {more} more; `codexctl requests` lists them."
