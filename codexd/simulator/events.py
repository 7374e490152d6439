"""The whole stream of one response, from a reply's data: events, pauses and cuts, in order. Pure.

Source: codex-backend.md, section 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from codexd.jsontext import dumps
from codexd.simulator.items import Event, Lane, Maker, make_lane
from codexd.simulator.options import TerminalOutput
from codexd.simulator.scripts import CutBy, FailedAs, Reply


@frozen
class Pause:
    """Silence: for ``seconds``, and then until ``hold`` is released."""

    seconds: float
    hold: str | None


@frozen
class Cut:
    by: CutBy


Step = Event | Pause | Cut


@frozen(kw_only=True)
class Setting:
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
    """Events that come before ``response.created``; they do not count for ``after_events``."""


ERROR_MESSAGES: Mapping[str, str] = {
    "context_length_exceeded": (
        "Your input exceeds the context window of this model. Please adjust your input and try again."
    ),
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
"""What the backend says with a code; a script's own ``message`` comes first."""


def play(reply: Reply, setting: Setting) -> Iterator[Step]:
    """The steps of the response; each event of the API's own vocabulary gets its ``sequence_number``."""
    if reply.events is None:
        yield from setting.preface
    numbers = itertools.count()
    for step in _play(reply, setting):
        if isinstance(step, Pause | Cut) or reply.events is not None or step["type"].startswith("codex."):
            yield step
        else:
            yield {"type": step["type"], "sequence_number": next(numbers), **step}


def encode(event: Event) -> bytes:
    """One server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (str(event.get("type", "message")).encode(), dumps(event))


def _play(reply: Reply, setting: Setting) -> Iterator[Step]:
    stream = _play_raw(reply) if reply.events is not None else _play_response(reply, setting)
    if not (reply.stall_s or reply.hold or reply.failed is not None or reply.cut):
        yield from stream
        return
    yield from _take_until_point(reply, stream)
    if reply.stall_s or reply.hold:
        yield Pause(reply.stall_s, reply.hold)
    if reply.failed is not None:
        yield from _make_failure(reply.failed, reply.failed_as, setting)
    elif reply.cut is not None:
        yield Cut(reply.cut)
    else:
        yield from stream


def _take_until_point(reply: Reply, stream: Iterator[Event]) -> Iterator[Event]:
    """The events before the reply's point; leaves the rest in ``stream``."""
    if reply.after_events is not None:
        yield from itertools.islice(stream, reply.after_events)
    elif reply.after_items is None and reply.cut is not None:
        yield from _take_until_terminal(reply, stream)
    else:
        yield from _take_items(reply.after_items or 0, stream)


def _take_items(count: int, stream: Iterator[Event]) -> Iterator[Event]:
    """The opening of the response and its first ``count`` items."""
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


def _play_raw(reply: Reply) -> Iterator[Event]:
    yield from reply.events or ()


def _play_response(reply: Reply, setting: Setting) -> Iterator[Event]:
    response = _make_response(setting)
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    lanes: list[Lane] = []
    yield from _play_items(reply, setting, lanes)
    yield _make_terminal(reply, setting, lanes)


def _play_items(reply: Reply, setting: Setting, lanes: list[Lane]) -> Iterator[Event]:
    """The events of all items; leaves what they were in ``lanes``."""
    for index, item in enumerate(reply.output):
        lanes.append(make_lane(item, index, _make_maker(reply, setting, last=index == len(reply.output) - 1)))
    if not reply.interleave:
        for lane in lanes:
            yield from lane.play()
        return
    for is_call, group in itertools.groupby(lanes, key=lambda lane: lane.is_call):
        if is_call:
            yield from _interleave(list(group))
        else:
            for lane in group:
                yield from lane.play()


def _interleave(lanes: list[Lane]) -> Iterator[Event]:
    """Parallel calls: all open, their deltas take turns, the last closes first."""
    for lane in lanes:
        yield from lane.opening
    for turn in itertools.zip_longest(*(lane.pieces for lane in lanes)):
        yield from (event for event in turn if event is not None)
    for lane in reversed(lanes):
        yield from lane.closing


def _make_maker(reply: Reply, setting: Setting, *, last: bool) -> Maker:
    return Maker(
        account_id=setting.account_id,
        response_key=setting.response_id.removeprefix("resp_"),
        delta_chars=setting.delta_chars,
        reply=reply,
        seals_reasoning="reasoning.encrypted_content" in (setting.request.get("include") or ()),
        completed="incomplete" if last and reply.incomplete else "completed",
    )


def _make_response(setting: Setting) -> dict[str, Any]:
    request = setting.request
    reasoning = request.get("reasoning") or {}
    return {
        "id": setting.response_id,
        "object": "response",
        "created_at": setting.created_at,
        "status": "in_progress",
        "model": setting.model,
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


def _make_terminal(reply: Reply, setting: Setting, lanes: list[Lane]) -> Event:
    response = _make_response(setting)
    # The real backend echoes "default" even where a faster tier was honoured.
    response |= {"service_tier": "default", "output": _make_output(setting.terminal_output, lanes)}
    if reply.usage == "computed":
        response["usage"] = _make_usage(setting, lanes)
    elif reply.usage == "absent":
        del response["usage"]
    else:
        response["usage"] = reply.usage
    if reply.incomplete is None:
        return {"type": "response.completed", "response": {**response, "status": "completed"}}
    response |= {"status": "incomplete", "incomplete_details": {"reason": reply.incomplete}}
    return {"type": "response.incomplete", "response": response}


def _make_output(form: TerminalOutput, lanes: list[Lane]) -> list[dict[str, Any]]:
    match form:
        case TerminalOutput.EMPTY:
            return []
        case TerminalOutput.FULL:
            return [lane.item for lane in lanes]
        case TerminalOutput.WITHOUT_IDS:
            return [{key: value for key, value in lane.item.items() if key != "id"} for lane in lanes]


def _make_usage(setting: Setting, lanes: list[Lane]) -> dict[str, Any]:
    output_tokens = sum(lane.tokens for lane in lanes)
    return {
        "input_tokens": setting.input_tokens,
        "input_tokens_details": {"cached_tokens": setting.cached_tokens},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": sum(lane.reasoning_tokens for lane in lanes)},
        "total_tokens": setting.input_tokens + output_tokens,
    }


def _make_failure(failed: Mapping[str, Any], form: FailedAs, setting: Setting) -> Iterator[Event]:
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
            "response": {**_make_response(setting), "status": "failed", "error": short},
        }
