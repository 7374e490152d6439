"""What ``codexctl why`` says about a request: its timeline, its outcome, what happens next, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from codexd import errors
from codexd.api.records import Explanation, TimelineStep
from codexd.errors import CodexdError
from codexd.record.timeline import CANCELLED, CLIENT_LEFT_KIND, STOPPED, Snapshot, Step, StepName
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
    asked = f"asked for {info.model}" if info.model else "sent a request without a readable model name"
    place = f" at the third party {request.third_party}" if request.third_party else ""
    asked += f", to check an action ({info.purpose})" if info.purpose == Purpose.AUTO_MODE_CHECK.value else ""
    used = f", which went to {info.model_used}{place}" if info.model_used else ""
    account = f", on the account {info.account}: {info.account_reason}" if info.account else ""
    return f"{info.client} {asked}{used}{account}."


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
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _format_ms(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 100_000 else f"{ms / 60_000:.0f} min"


# -- advice ---------------------------------------------------------------------------------------


def _advise(request: Snapshot, wall_now: float) -> Iterator[str]:
    info = request.info
    if info.error_kind is not None:
        advice = find_advice(info.error_kind, third_party=request.third_party is not None)
        names = {"id": info.id, "host": request.third_party}
        yield advice.by_itself.format(**names)
        if request.resets_at is not None and request.resets_at > wall_now:
            yield f"The limit ends {say_until(request.resets_at, wall_now)}."
        yield advice.to_do.format(**names)
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


@frozen
class Advice:
    """``by_itself`` is what happens without the user's help, ``to_do`` what the user can do.

    In both, ``{id}`` stands for the request's id and ``{host}`` for the third party that it went to.
    """

    by_itself: str
    to_do: str


def find_advice(kind: str, *, third_party: bool = False) -> Advice:
    """The advice for an error's ``kind``. ``third_party``: whether the request went to one."""
    return (_BY_KIND_OF_THIRD_PARTY if third_party else _BY_KIND).get(kind, _BY_CLASS[CodexdError])


_RETRIES = "Most clients try again automatically; Claude Code tries up to ten times."
_REFUSED_AGAIN = "The same request will be refused again."
_SWITCH = "`codexctl accounts switch NAME` switches to another account"
_REPORT = "`codexctl logs --request {id}` shows what codexd logged about it; include that in a report."
_OTHER_MODELS = "Every other model name goes to your ChatGPT plan."
_SHRINK = "Make the conversation smaller with `/compact`, or send fewer images."
_PROXY = Advice(
    _RETRIES,
    "Check that the proxy runs and accepts codexd's user and password. The environment in which codexd was started "
    "names it (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY); after changing that, restart codexd.",
)

_BY_CLASS: Mapping[type[CodexdError], Advice] = {
    CodexdError: Advice("Other requests are not affected.", f"This is a bug in codexd. {_REPORT}"),
    errors.ShuttingDown: Advice(
        "codexd accepts no requests until it runs again.", "Send the request again once `codexctl status` answers."
    ),
    errors.RequestCancelled: Advice(
        "The answer was stopped at its source. codexd also refuses the retry that Claude Code sends right away.",
        "There is nothing to do. If you did not mean to cancel it, ask again.",
    ),
    errors.RequestRefused: Advice(
        f"{_REFUSED_AGAIN} No part of it reached the backend.",
        "The error says what the client has to send instead. Unless the README says that codexd can't do it, this is "
        f"a bug in codexd: {_REPORT}",
    ),
    errors.RequestTooLarge: Advice(_REFUSED_AGAIN, _SHRINK),
    errors.KiloDisabled: Advice(
        "codexd refuses the model name kilo until you opt in. No part of this request left the machine.",
        f"`codexctl settings set kilo.enabled true` opts in. {_OTHER_MODELS}",
    ),
    errors.AccountError: Advice(
        "codexd chooses an account again for the next request.", "`codexctl accounts` shows the state of each account."
    ),
    errors.NoAccount: Advice(
        "No request can be served until an account is active.",
        "Sign in with `codexctl accounts add`, import an existing login with `codexctl accounts import`, or activate "
        "an account with `codexctl accounts switch NAME`.",
    ),
    errors.AccountDisabled: Advice(
        "The account stays out of use until you enable it.",
        f"`codexctl accounts enable NAME` enables it; {_SWITCH}.",
    ),
    errors.AccountNeedsLogin: Advice(
        "Requests to this account fail until you sign in to it again.",
        f"`codexctl accounts add` signs in; {_SWITCH}.",
    ),
    errors.FollowedLoginStale: Advice(
        "codexd reads the login's file again for each request.",
        "Start the program that owns the login, such as `codex`, once to refresh the login.",
    ),
    errors.RefreshUnavailable: Advice(
        "The login is intact. codexd keeps trying to refresh it, at growing intervals.",
        "Check whether this machine can reach the sign-in server (setting upstream.auth_url).",
    ),
    errors.UpstreamError: Advice(_RETRIES, _REPORT),
    errors.ContextOverflow: Advice(
        "Claude Code compacts the conversation automatically and continues.",
        "`/compact` or `/clear` makes the conversation smaller. In other clients, start a new one.",
    ),
    errors.UsageLimitReached: Advice(
        "The account is available again once its rate-limit window resets.",
        f"{_SWITCH}; `codexctl settings set rotation.enabled true` lets codexd switch automatically.",
    ),
    errors.AllAccountsLimited: Advice(
        "Each account is available again once its rate-limit window resets; codexd then uses it automatically.",
        "`codexctl quota` shows when. `codexctl accounts add` adds another account.",
    ),
    errors.RateLimited: Advice(
        "codexd waits for limits of a few seconds itself; clients try again after longer ones.",
        f"Send fewer requests at once. {_SWITCH}.",
    ),
    errors.Overloaded: Advice(
        _RETRIES,
        "Try again later, or ask for another model: `codexctl models` lists them, and the names that lead to each.",
    ),
    errors.PlanRefused: Advice(
        "Requests to this account will be refused until its plan changes.",
        f"Check the account's plan at chatgpt.com. {_SWITCH}.",
    ),
    errors.WorkspaceRefused: Advice(
        "Requests to this account will be refused until its workspace allows them.",
        f"Ask the workspace's administrator, or sign in to another workspace with `codexctl accounts add`. {_SWITCH}.",
    ),
    errors.ModelRefused: Advice(
        "Until the account's list of models changes, codexd uses the next model in the setting, if there is one.",
        "`codexctl models` lists the models of the account; `codexctl settings` shows which name leads to which.",
    ),
    errors.KiloRefused: Advice(
        "Requests for the model name kilo fail until you choose another model.",
        f"`codexctl settings set kilo.model NAME` chooses one that kilo.ai serves for free. {_OTHER_MODELS}",
    ),
    errors.PolicyRefused: Advice(
        "The same text will be refused again.", "Rephrase the request, or start a new conversation."
    ),
    errors.StaleReasoning: Advice(
        "codexd tried again without the earlier reasoning, and that failed too.",
        "Start a new conversation (`/clear`): it sends no earlier reasoning.",
    ),
    errors.UpstreamRejected: Advice(
        _REFUSED_AGAIN,
        f"The backend could not use what the client sent, or what codexd made of it. {_REPORT}",
    ),
    errors.SchemaRefused: Advice(
        "The client sends its tools with every request, so each one will be refused until the schema changes.",
        "Disable the tool that the error names, or the MCP server that it comes from. Unless a Codex client sent it, "
        f"codexd should have repaired the schema: {_REPORT}",
    ),
    errors.UpstreamTooLarge: Advice(_REFUSED_AGAIN, _SHRINK),
    errors.UpstreamBlocked: Advice(
        f"{_RETRIES} The block is temporary.", "Wait a few minutes, or try without a VPN or on another network."
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        "If it keeps failing, check status.openai.com, and whether this machine can reach the backend "
        "(setting upstream.backend_url).",
    ),
    errors.ProxyFailed: _PROXY,
    errors.EmptyAnswer: Advice("codexd asked twice, and both answers were empty.", "Rephrase the request."),
    errors.UpstreamTimeout: Advice(
        _RETRIES,
        "If answers need more time, raise the setting upstream.idle_timeout; on a slow connection, raise "
        "upstream.connect_timeout.",
    ),
    errors.StreamBroken: Advice(
        "Claude Code asks once more, for the whole answer in one piece; the Codex CLI starts over up to five times.",
        "With another client, ask again. If it happens often, check the network, VPN or proxy between this machine "
        "and the backend.",
    ),
}

_OTHER_FREE = (
    "choose another free model (`codexctl settings set kilo.model NAME`), or any other model name, which goes to your "
    "ChatGPT plan."
)

_BY_CLASS_OF_THIRD_PARTY: Mapping[type[CodexdError], Advice] = {
    **{found: advice for found, advice in _BY_CLASS.items() if not issubclass(found, errors.UpstreamError)},
    errors.UpstreamError: Advice("Most clients try again automatically.", f"If it keeps failing, {_OTHER_FREE}"),
    errors.RateLimited: Advice(
        "{host} limits how often each IP address may use its free models; clients try again automatically.",
        f"Wait a while, or {_OTHER_FREE}",
    ),
    errors.ContextOverflow: Advice(
        _BY_CLASS[errors.ContextOverflow].by_itself,
        f"`/compact` or `/clear` makes the conversation smaller. For a larger context window, {_OTHER_FREE}",
    ),
    errors.KiloRefused: _BY_CLASS[errors.KiloRefused],
    errors.PolicyRefused: _BY_CLASS[errors.PolicyRefused],
    errors.UpstreamTooLarge: _BY_CLASS[errors.UpstreamTooLarge],
    errors.UpstreamRejected: Advice(
        _REFUSED_AGAIN, f"The model may not accept what the client sent: {_OTHER_FREE} {_REPORT}"
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        f"If it keeps failing, check whether this machine can reach {{host}} (setting kilo.url), or {_OTHER_FREE}",
    ),
    errors.ProxyFailed: _PROXY,
    errors.EmptyAnswer: Advice("codexd does not ask again.", f"Rephrase the request, or {_OTHER_FREE}"),
    errors.UpstreamTimeout: Advice(
        _RETRIES, f"If answers need more time, raise the setting upstream.idle_timeout, or {_OTHER_FREE}"
    ),
    errors.StreamBroken: Advice(
        _BY_CLASS[errors.StreamBroken].by_itself,
        "If it happens often, check the network, VPN or proxy between this machine and {host}.",
    ),
}
"""For requests that went to a third party. Errors other than ``UpstreamError`` don't depend on who answers."""

_CLIENT_LEFT = Advice(
    "The answer was stopped at its source; nobody is waiting for it.",
    "There is nothing to do if you stopped it, as Esc does in Claude Code and the Codex CLI. If you did not, the "
    "client gave up waiting: check its own timeout.",
)


def _list_classes(root: type[CodexdError]) -> Iterator[type[CodexdError]]:
    yield root
    for below in root.__subclasses__():
        yield from _list_classes(below)


def _by_kind(by_class: Mapping[type[CodexdError], Advice]) -> Mapping[str, Advice]:
    """A kind of error without its own advice gets its parent's."""
    nearest = {
        found.kind: next(by_class[base] for base in found.__mro__ if base in by_class)
        for found in _list_classes(CodexdError)
    }
    return {**nearest, CLIENT_LEFT_KIND: _CLIENT_LEFT}


_BY_KIND = _by_kind(_BY_CLASS)
_BY_KIND_OF_THIRD_PARTY = _by_kind(_BY_CLASS_OF_THIRD_PARTY)
