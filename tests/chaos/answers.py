"""The strict check of a turn's answer, of every API. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from attrs import frozen
from chaos.turns import Turn

from codexd.simulator.damage import STRAY_MARK

MARKER = re.compile(rb"mk[0-9a-f]{16}")
ANTHROPIC_TYPES = {
    "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
    "request_too_large", "rate_limit_error", "api_error", "overloaded_error", "timeout_error",
}  # fmt: skip
"""Source: docs.claude.com/en/api/errors, and ``timeout_error``, which the SDK knows."""


class Outcome(Enum):
    """How a turn ended. The last ones must not happen."""

    WHOLE = "whole"
    REFUSED = "error, before the answer"
    BROKEN = "error, within the answer"
    LEFT = "client left"
    ILLEGAL = "illegal"
    HUNG = "hung"


@frozen
class Answer:
    """An HTTP answer as it came. ``complete`` is whether its framing says so."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool


class IllegalError(Exception):
    """An answer that no client may get; the message says why."""


def check(turn: Turn, answer: Answer) -> Outcome:
    """How ``turn`` ended.

    Raises:
        IllegalError: the answer is another turn's, cut but called whole, or in no form of its API.
    """
    check_markers(answer.body, turn.marker)
    require(answer.complete, f"the connection closed in the middle of a {answer.status} with {len(answer.body)} bytes")
    require("x-request-id" in answer.headers, "no x-request-id")
    if answer.status != 200:
        check_error(turn.kind, json_of(answer.body), answer.status)
        return Outcome.REFUSED
    return CHECKS[turn.kind](turn, answer)


def check_markers(body: bytes, marker: str) -> None:
    """No other turn's word, and nothing that nobody asked for."""
    foreign = {found.decode() for found in MARKER.findall(body)} - {marker}
    require(not foreign, f"another turn's marker: {sorted(foreign)}")
    require(STRAY_MARK.encode() not in body, "a stray answer")


def require(fact: object, otherwise: str) -> None:
    if not fact:
        raise IllegalError(otherwise)


def json_of(data: bytes | str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise IllegalError(f"not JSON: {data[:200]!r}") from None


# -- errors -----------------------------------------------------------------------------------------


def check_error(kind: str, document: Any, status: int) -> None:
    """An error in the form of the API that was called."""
    require(400 <= status <= 599, f"status {status}")
    if kind in ("messages stream", "messages whole", "count"):
        check_anthropic(document)
    else:
        check_openai(document)


def check_anthropic(document: Any) -> None:
    require(isinstance(document, dict), f"error of Messages: {document!r}")
    error = document.get("error")
    fine = document.get("type") == "error" and isinstance(error, dict) and isinstance(document.get("request_id"), str)
    require(fine and error["type"] in ANTHROPIC_TYPES and error["message"], f"error of Messages: {document!r}")


def check_openai(document: Any) -> None:
    require(isinstance(document, dict) and isinstance(document.get("error"), dict), f"error of OpenAI: {document!r}")
    error = document["error"]
    fine = isinstance(error.get("message"), str) and error["message"] and isinstance(error.get("type"), str)
    require(fine and "code" in error and "param" in error, f"error of OpenAI: {document!r}")


# -- answers ----------------------------------------------------------------------------------------


def check_call(turn: Turn, arguments: Any) -> None:
    """The arguments of the one call, as JSON text or as an object."""
    value = json_of(arguments) if isinstance(arguments, str) else arguments
    require(isinstance(value, dict) and set(value) == {"text"}, f"called with {arguments!r:.200}")
    check_text(turn, value["text"])


def check_text(turn: Turn, text: Any) -> None:
    if text != turn.text:
        raise IllegalError(f"called whole, but {describe_difference(turn.text, text)}")


def describe_difference(wanted: str, got: Any) -> str:
    if not isinstance(got, str):
        return f"the text is {got!r:.100}"
    at = next(
        (index for index, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got))
    )
    return f"at {at} of {len(wanted)} there is {got[at : at + 40]!r} for {wanted[at : at + 40]!r} (length {len(got)})"


def read_frames(turn: Turn, answer: Answer) -> list[tuple[str | None, str]]:
    """The name and the data of each event; comments are left out."""
    require("text/event-stream" in answer.headers.get("content-type", ""), f"content-type {answer.headers}")
    text = answer.body.decode()
    require(text.endswith("\n\n"), f"{turn.kind} ends within an event: {text[-100:]!r}")
    frames = []
    for frame in text[:-2].split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        if lines:
            frames.append(_read_frame(lines))
    return frames


def _read_frame(lines: list[str]) -> tuple[str | None, str]:
    name = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else None
    require(len(lines) == 1 and lines[0].startswith("data: "), f"an odd event: {lines!r:.200}")
    return name, lines[0].removeprefix("data: ")


def read_events(turn: Turn, answer: Answer) -> list[dict[str, Any]]:
    """The events of an API that names them twice."""
    events = []
    for name, data in read_frames(turn, answer):
        event = json_of(data)
        require(event.get("type") == name, f"event {name} says that it is {event.get('type')}")
        events.append(event)
    require(events, "a stream without events")
    return events


def check_messages_stream(turn: Turn, answer: Answer) -> Outcome:
    events = [event for event in read_events(turn, answer) if event["type"] != "ping"]
    require(events, "a stream of pings")
    if events[-1]["type"] == "error":
        check_anthropic(events.pop())
        list(_read_blocks(events))
        return Outcome.BROKEN
    require(events[-1]["type"] == "message_stop", f"the last event is {events[-1]['type']}")
    require(events[-2]["type"] == "message_delta", f"before the end there is {events[-2]['type']}")
    require(events[-2]["delta"]["stop_reason"] == ("tool_use" if turn.calls else "end_turn"), f"{events[-2]}")
    text = "".join(_read_blocks(events[:-2]))
    (check_call if turn.calls else check_text)(turn, text)
    return Outcome.WHOLE


def _read_blocks(events: list[dict[str, Any]]) -> Iterator[str]:
    """The texts of the blocks, each opened and closed in order; the last may be open."""
    if not events:
        return
    require(events[0]["type"] == "message_start", f"the first event is {events[0]['type']}")
    at, is_open = -1, False
    for event in events[1:]:
        match event["type"]:
            case "content_block_start":
                require(not is_open and event["index"] == at + 1, f"block {event['index']} opens after {at}")
                at, is_open = at + 1, True
            case "content_block_delta":
                require(is_open and event["index"] == at, f"a delta of block {event['index']} in block {at}")
                yield event["delta"].get("text") or event["delta"].get("partial_json") or ""
            case "content_block_stop":
                require(is_open and event["index"] == at, f"block {event['index']} closes in block {at}")
                is_open = False
            case other:
                raise IllegalError(f"{other} within the answer")


def check_messages(turn: Turn, answer: Answer) -> Outcome:
    message = json_of(answer.body)
    require(message.get("type") == "message" and message.get("role") == "assistant", f"{message!r:.200}")
    require(message["usage"]["output_tokens"] > 0, f"{message!r:.200}")
    require(message["stop_reason"] == ("tool_use" if turn.calls else "end_turn"), f"{message!r:.200}")
    if turn.calls:
        [call] = [block for block in message["content"] if block["type"] == "tool_use"]
        check_call(turn, call["input"])
    else:
        check_text(turn, "".join(block["text"] for block in message["content"] if block["type"] == "text"))
    return Outcome.WHOLE


def check_chat_stream(turn: Turn, answer: Answer) -> Outcome:
    frames = read_frames(turn, answer)
    require(frames and all(name is None for name, _ in frames), "a chunk with a name")
    *datas, last = [data for _, data in frames]
    if last != "[DONE]":
        check_openai(json_of(last))
        return Outcome.BROKEN
    chunks = [json_of(data) for data in datas]
    require(all(chunk.get("object") == "chat.completion.chunk" for chunk in chunks), "not a chunk")
    require(len({chunk["id"] for chunk in chunks}) == 1, "chunks of several answers")
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    finished = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    require(finished == ["tool_calls" if turn.calls else "stop"], f"finished as {finished}")
    require(choices[-1]["finish_reason"], "chunks after the end")
    if turn.calls:
        parts = [call["function"]["arguments"] for choice in choices for call in choice["delta"].get("tool_calls", ())]
        check_call(turn, "".join(parts))
    else:
        check_text(turn, "".join(choice["delta"].get("content") or "" for choice in choices))
    return Outcome.WHOLE


def check_chat(turn: Turn, answer: Answer) -> Outcome:
    document = json_of(answer.body)
    require(document.get("object") == "chat.completion" and len(document["choices"]) == 1, f"{document!r:.200}")
    require(document["choices"][0]["finish_reason"] == ("tool_calls" if turn.calls else "stop"), f"{document!r:.200}")
    message = document["choices"][0]["message"]
    if turn.calls:
        [call] = message["tool_calls"]
        check_call(turn, call["function"]["arguments"])
    else:
        check_text(turn, message["content"])
    return Outcome.WHOLE


def check_responses_stream(turn: Turn, answer: Answer) -> Outcome:
    events = read_events(turn, answer)
    numbers = [event["sequence_number"] for event in events if "sequence_number" in event]
    require(numbers == sorted(set(numbers)), f"sequence numbers {numbers}")
    last = events[-1]
    if last["type"] == "response.failed":
        require(last["response"]["status"] == "failed" and last["response"]["error"]["message"], f"{last!r:.200}")
        return Outcome.BROKEN
    if last["type"] == "error":
        require(isinstance(last["message"], str) and last["message"] and last["code"], f"{last!r:.200}")
        return Outcome.BROKEN
    require(last["type"] == "response.completed", f"the last event is {last['type']}")
    require(events[0]["type"] == "response.created", f"the first event is {events[0]['type']}")
    kind, key = ("function_call_arguments", "arguments") if turn.calls else ("output_text", "text")
    check = check_call if turn.calls else check_text
    check(turn, "".join(each["delta"] for each in events if each["type"] == f"response.{kind}.delta"))
    [done] = [each[key] for each in events if each["type"] == f"response.{kind}.done"]
    check(turn, done)
    check_output(turn, last["response"])
    return Outcome.WHOLE


def check_responses(turn: Turn, answer: Answer) -> Outcome:
    response = json_of(answer.body)
    require(response.get("object") == "response" and response["status"] == "completed", f"{response!r:.200}")
    check_output(turn, response)
    return Outcome.WHOLE


def check_output(turn: Turn, response: dict[str, Any]) -> None:
    if turn.calls:
        [call] = [item for item in response["output"] if item["type"] == "function_call"]
        check_call(turn, call["arguments"])
        return
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    check_text(turn, "".join(part["text"] for part in parts))


def check_compact(turn: Turn, answer: Answer) -> Outcome:
    document = json_of(answer.body)
    kinds = [item["type"] for item in document["output"]]
    require(document.get("object") == "response.compaction" and "compaction" in kinds, f"{document!r:.200}")
    require(turn.marker in json.dumps(document["output"]), "the user's message is missing")
    return Outcome.WHOLE


def check_count(turn: Turn, answer: Answer) -> Outcome:
    tokens = json_of(answer.body)["input_tokens"]
    require(
        isinstance(tokens, int) and tokens > len(turn.text) // 10, f"{tokens} tokens for {len(turn.text)} characters"
    )
    return Outcome.WHOLE


def check_models(_turn: Turn, answer: Answer) -> Outcome:
    document = json_of(answer.body)
    require(document["object"] == "list" and all(model["object"] == "model" for model in document["data"]), "a list")
    require(document["data"], "no models")
    return Outcome.WHOLE


def check_health(_turn: Turn, answer: Answer) -> Outcome:
    require(json_of(answer.body)["status"] == "ok", f"{answer.body!r}")
    return Outcome.WHOLE


CHECKS: dict[str, Callable[[Turn, Answer], Outcome]] = {
    "messages stream": check_messages_stream,
    "messages whole": check_messages,
    "chat stream": check_chat_stream,
    "chat whole": check_chat,
    "responses stream": check_responses_stream,
    "responses whole": check_responses,
    "compact": check_compact,
    "count": check_count,
    "count input": check_count,
    "models": check_models,
    "health": check_health,
}
