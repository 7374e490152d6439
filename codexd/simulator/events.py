"""The complete stream of one response, made from a scripted reply: events, pauses and cuts, in order. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from codexd.jsontext import dumps
from codexd.simulator.items import Event, ItemEvents, ItemOptions, make_item_events
from codexd.simulator.options import TerminalOutput
from codexd.simulator.refusals import CONTEXT_OVERFLOW
from codexd.simulator.scripts import CutBy, FailedAs, Reply


@frozen
class Pause:
    """Silence for ``seconds``, then until ``hold`` is released."""

    seconds: float
    hold: str | None


@frozen
class Cut:
    by: CutBy


Step = Event | Pause | Cut


@frozen(kw_only=True)
class ResponseContext:
    """What a stream takes from its request and its backend."""

    response_id: str
    model: str
    created_at: int
    account_id: str
    request: Mapping[str, Any] = field(factory=dict)
    input_tokens: int = 0
    cached_tokens: int = 0
    delta_chars: int = 16
    terminal_output: TerminalOutput = TerminalOutput.EMPTY
    preface: tuple[Event, ...] = ()
    """Events sent before ``response.created``. ``after_events`` does not count them."""


ERROR_MESSAGES: Mapping[str, str] = {
    "context_length_exceeded": CONTEXT_OVERFLOW,
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "usage_not_included": "Codex is not included in your plan.",
    "usage_limit_reached": "The usage limit has been reached",
    "rate_limit_exceeded": (
        "Rate limit reached for gpt-5.5 in organization org-1 on tokens per min (TPM): "
        "Limit 30000, Used 22999, Requested 12528. Please try again in 11.054s."
    ),
    "server_is_overloaded": "Our servers are currently overloaded. Please try again later.",
    "slow_down": "Our servers are currently overloaded. Please try again later.",
    "server_error": "An error occurred while processing your request.",
    "invalid_encrypted_content": (
        "The encrypted content could not be verified. (Reason: Encrypted content could not be decrypted or parsed.)"
    ),
}
"""The message for each code, unless a script has its own."""


def play(reply: Reply, context: ResponseContext) -> Iterator[Step]:
    """The steps of the response. Each of the API's own events gets its ``sequence_number``."""
    if reply.events is None:
        yield from context.preface
    numbers = itertools.count()
    for step in _play(reply, context):
        if isinstance(step, Pause | Cut) or reply.events is not None or step["type"].startswith("codex."):
            yield step
        else:
            yield {"type": step["type"], "sequence_number": next(numbers), **step}


def encode(event: Event) -> bytes:
    """One server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (str(event.get("type", "message")).encode(), dumps(event))


def _play(reply: Reply, context: ResponseContext) -> Iterator[Step]:
    stream = iter(reply.events) if reply.events is not None else _play_response(reply, context)
    if not (reply.stall_s or reply.hold or reply.failed is not None or reply.cut):
        yield from stream
        return
    yield from _take_until_point(reply, stream)
    if reply.stall_s or reply.hold:
        yield Pause(reply.stall_s, reply.hold)
    if reply.failed is not None:
        yield from _make_failure(reply.failed, reply.failed_as, context)
    elif reply.cut is not None:
        yield Cut(reply.cut)
    else:
        yield from stream


def _take_until_point(reply: Reply, stream: Iterator[Event]) -> Iterator[Event]:
    """The events before the point that the reply names. The rest stays in ``stream``."""
    if reply.after_events is not None:
        yield from itertools.islice(stream, reply.after_events)
    elif reply.after_items is None and reply.cut is not None:
        yield from _take_until_terminal(reply, stream)
    else:
        yield from _take_items(reply.after_items or 0, stream)


def _take_items(count: int, stream: Iterator[Event]) -> Iterator[Event]:
    """The opening events of the response and those of its first ``count`` items."""
    seen = 0
    for event in stream:
        yield event
        if event["type"] == "response.in_progress" and count == 0:
            return
        seen += event["type"] == "response.output_item.done"
        if seen and seen == count:
            return


def _take_until_terminal(reply: Reply, stream: Iterator[Event]) -> Iterator[Event]:
    if reply.events is not None:
        yield from stream
        return
    for event in stream:
        if event["type"] in ("response.completed", "response.incomplete"):
            return
        yield event


def _play_response(reply: Reply, context: ResponseContext) -> Iterator[Event]:
    response = _make_response(context)
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    items: list[ItemEvents] = []
    yield from _play_items(reply, context, items)
    yield _make_terminal(reply, context, items)


def _play_items(reply: Reply, context: ResponseContext, items: list[ItemEvents]) -> Iterator[Event]:
    """The events of all items, which are added to ``items``."""
    for index, scripted in enumerate(reply.output):
        options = _make_item_options(reply, context, last=index == len(reply.output) - 1)
        items.append(make_item_events(scripted, index, options))
    if not reply.interleave:
        for item in items:
            yield from item.play()
        return
    for is_call, group in itertools.groupby(items, key=lambda item: item.is_call):
        if is_call:
            yield from _interleave(list(group))
        else:
            for item in group:
                yield from item.play()


def _interleave(items: list[ItemEvents]) -> Iterator[Event]:
    """Interleave parallel calls: all open first, their deltas take turns, and the last one closes first."""
    for item in items:
        yield from item.opening
    for turn in itertools.zip_longest(*(item.pieces for item in items)):
        yield from (event for event in turn if event is not None)
    for item in reversed(items):
        yield from item.closing


def _make_item_options(reply: Reply, context: ResponseContext, *, last: bool) -> ItemOptions:
    return ItemOptions(
        account_id=context.account_id,
        response_key=context.response_id.removeprefix("resp_"),
        delta_chars=context.delta_chars,
        reply=reply,
        seals_reasoning="reasoning.encrypted_content" in (context.request.get("include") or ()),
        completed="incomplete" if last and reply.incomplete else "completed",
    )


def _make_response(context: ResponseContext) -> dict[str, Any]:
    request = context.request
    reasoning = request.get("reasoning") or {}
    return {
        "id": context.response_id,
        "object": "response",
        "created_at": context.created_at,
        "status": "in_progress",
        "model": context.model,
        "output": [],
        "instructions": request.get("instructions"),
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "auto",
        "store": False,
        "text": {"format": {"type": "text"}, **(request.get("text") or {})},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools", []),
        "usage": None,
        "error": None,
        "incomplete_details": None,
        "previous_response_id": None,
        "prompt_cache_key": request.get("prompt_cache_key"),
        "metadata": {},
    }


def _make_terminal(reply: Reply, context: ResponseContext, items: list[ItemEvents]) -> Event:
    response = _make_response(context)
    # The real backend says "default" even if it served a faster tier.
    response |= {"service_tier": "default", "output": _make_output(context.terminal_output, items)}
    if reply.usage == "computed":
        response["usage"] = _make_usage(context, items)
    elif reply.usage == "absent":
        del response["usage"]
    else:
        response["usage"] = reply.usage
    if reply.incomplete is None:
        return {"type": "response.completed", "response": {**response, "status": "completed"}}
    response |= {"status": "incomplete", "incomplete_details": {"reason": reply.incomplete}}
    return {"type": "response.incomplete", "response": response}


def _make_output(form: TerminalOutput, items: list[ItemEvents]) -> list[dict[str, Any]]:
    match form:
        case TerminalOutput.EMPTY:
            return []
        case TerminalOutput.FULL:
            return [item.final for item in items]
        case TerminalOutput.WITHOUT_IDS:
            return [{key: value for key, value in item.final.items() if key != "id"} for item in items]


def _make_usage(context: ResponseContext, items: list[ItemEvents]) -> dict[str, Any]:
    output_tokens = sum(item.tokens for item in items)
    return {
        "input_tokens": context.input_tokens,
        "input_tokens_details": {"cached_tokens": context.cached_tokens},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": sum(item.reasoning_tokens for item in items)},
        "total_tokens": context.input_tokens + output_tokens,
    }


def _make_failure(failed: Mapping[str, Any], form: FailedAs, context: ResponseContext) -> Iterator[Event]:
    code = failed.get("code")
    message = failed.get("message") or ERROR_MESSAGES.get(code or failed.get("type", ""), "The request failed.")
    error = {"type": "server_error", "param": None, **failed, "code": code, "message": message}
    if form in (FailedAs.ERROR, FailedAs.BOTH):
        yield {"type": "error", "error": error}
    if form is FailedAs.FLAT_ERROR:
        yield {"type": "error", "code": code, "message": message, "param": error["param"]}
    if form in (FailedAs.FAILED, FailedAs.BOTH):
        short = {key: value for key, value in error.items() if key in failed or key in ("code", "message")}
        yield {
            "type": "response.failed",
            "response": {**_make_response(context), "status": "failed", "error": short},
        }
