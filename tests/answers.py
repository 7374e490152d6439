"""Answers of the backend as Hypothesis makes them: items, the events that each may come in, and how they interleave."""

import json
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.reasoning import unseal
from codexd.translation.messages.stream import MessagesStream
from codexd.translation.tool_names import ToolNames

Event = dict[str, Any]

PIECES = st.lists(st.text(max_size=6), max_size=4)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4), st.lists, max_leaves=4)


@frozen
class Item:
    """An output item: the events that it comes in, its last form, and the content block it must become, if any."""

    events: list[Event]
    done: Event
    block: Event | None


@frozen
class Answer:
    """A whole stream, and the content that a client must end up with; a signature stands as its bare ciphertext."""

    events: list[Event]
    content: list[Event]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    kinds = draw(st.lists(st.sampled_from([messages, reasonings, calls]), max_size=4))
    items = [draw(kind(index)) for index, kind in enumerate(kinds)]
    turns = draw(st.permutations([index for index, item in enumerate(items) for _ in item.events]))
    waiting = [iter(item.events) for item in items]
    events = [next(waiting[index]) for index in turns]
    content = [items[index].block for index in dict.fromkeys(turns)]  # in the order of first appearance
    output = draw(st.sampled_from(["empty", "full", "without ids"]))
    done = [] if output == "empty" else [item.done for item in items]
    if output == "without ids":
        done = [{key: value for key, value in item.items() if key != "id"} for item in done]
    response = {"id": "resp_1", "status": "completed", "output": done, "usage": None}
    start = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
    return Answer(
        [start, *events, {"type": "response.completed", "response": response}],
        [block for block in content if block is not None],
    )


@st.composite
def messages(draw: st.DrawFn, index: int) -> Item:
    parts = draw(st.lists(st.tuples(st.sampled_from(["output_text", "refusal"]), PIECES), max_size=2))
    item = {"id": f"msg_{index}", "type": "message", "role": "assistant", "content": []}
    place = {"item_id": item["id"], "output_index": index}
    events = [{"type": "response.output_item.added", "output_index": index, "item": item}]
    style = draw(st.sampled_from(["deltas", "done", "item only"]))
    for number, (kind, pieces) in enumerate(parts):
        where = {**place, "content_index": number}
        if style == "deltas":
            events += [{"type": f"response.{kind}.delta", **where, "delta": piece} for piece in pieces]
        if style != "item only":
            events.append({"type": f"response.{kind}.done", **where, _text_key(kind): "".join(pieces)})
    content = [{"type": kind, _text_key(kind): "".join(pieces)} for kind, pieces in parts]
    done = {**item, "status": "completed", "content": content}
    events.append(draw(_done_event(done, index)))
    text = "".join(piece for _, pieces in parts for piece in pieces)
    return Item(events, done, {"type": "text", "text": text} if text else None)


def _text_key(kind: str) -> str:
    return "refusal" if kind == "refusal" else "text"


@st.composite
def reasonings(draw: st.DrawFn, index: int) -> Item:
    parts = draw(st.lists(PIECES, max_size=3))
    ciphertext = draw(st.sampled_from(["", "gAAAAfinal"]))
    early = draw(st.sampled_from(["", "gAAAApart"])) if ciphertext else ""
    item = {"id": f"rs_{index}", "type": "reasoning", "summary": [], "encrypted_content": early or None}
    place = {"item_id": item["id"], "output_index": index}
    events = [{"type": "response.output_item.added", "output_index": index, "item": item}]
    style = draw(st.sampled_from(["deltas", "done", "item only"]))
    for number, pieces in enumerate(parts):
        where = {**place, "summary_index": number}
        if style == "deltas":
            events += [{"type": "response.reasoning_summary_text.delta", **where, "delta": piece} for piece in pieces]
        if style != "item only":
            events.append({"type": "response.reasoning_summary_text.done", **where, "text": "".join(pieces)})
    texts = ["".join(pieces) for pieces in parts]
    summary = [{"type": "summary_text", "text": text} for text in texts]
    done = {**item, "summary": summary, "encrypted_content": ciphertext or None}
    events.append(draw(_done_event(done, index)))
    thinking = "\n\n".join(text for text in texts if text)
    shown = thinking or ciphertext
    return Item(events, done, {"type": "thinking", "thinking": thinking, "signature": ciphertext} if shown else None)


@st.composite
def calls(draw: st.DrawFn, index: int) -> Item:
    arguments = draw(st.dictionaries(st.text(max_size=4), JSON, max_size=3))
    text = json.dumps(arguments) if arguments else draw(st.sampled_from(["", "{}"]))
    name = draw(st.sampled_from(["Bash", "Read"]))
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": f"call_{index}", "name": name, "arguments": ""}
    added = item if draw(st.booleans()) else {**item, "name": ""}
    place = {"item_id": item["id"], "output_index": index}
    events = [{"type": "response.output_item.added", "output_index": index, "item": added}]
    style = draw(st.sampled_from(["deltas", "done", "item only"]))
    if style == "deltas":
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        events += [{"type": "response.function_call_arguments.delta", **place, "delta": piece} for piece in pieces]
    if style != "item only":
        events.append({"type": "response.function_call_arguments.done", **place, "arguments": text})
    done = {**item, "status": "completed", "arguments": text}
    events.append(draw(_done_event(done, index)))
    return Item(events, done, {"type": "tool_use", "id": item["call_id"], "name": name, "input": arguments})


def _done_event(item: Event, index: int) -> st.SearchStrategy[Event]:
    """The last event of an item; it may lack the output index."""
    bare = {"type": "response.output_item.done", "item": item}
    return st.sampled_from([bare, {**bare, "output_index": index}])


# -- through the translation, and read back -------------------------------------------------------

NOW = 1_795_000_000.0


def make_stream(thinking=Thinking.SHOWN, tells_refusals=True, tools=()):
    return MessagesStream(
        message_id="msg_1",
        model="claude-x",
        upstream_model="gpt-5.5",
        account_tag="0a1b2c3d",
        tool_names=ToolNames(tools),
        thinking=thinking,
        tells_refusals=tells_refusals,
    )


def run(events, **options):
    stream = make_stream(**options)
    return [made for event in events for made in stream.receive_event(event, now=NOW)]


def check_grammar(events):
    """``start (block-start delta* block-stop)* message_delta message_stop``, indexes without gaps."""
    open_index, next_index = None, 0
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    for event in events[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert open_index is None
                assert event["index"] == next_index
                open_index = event["index"]
            case "content_block_delta":
                assert event["index"] == open_index is not None
            case "content_block_stop":
                assert event["index"] == open_index is not None
                open_index, next_index = None, next_index + 1
            case kind:
                raise AssertionError(kind)
    assert open_index is None


def blocks_of(events):
    """The blocks in short: text, ``(thinking, ciphertext or None)``, or ``name(arguments)``."""
    blocks, texts, signature = [], [], None
    for event in events:
        match event["type"]:
            case "content_block_start":
                block, texts, signature = event["content_block"], [], None
            case "content_block_delta":
                delta = event["delta"]
                if delta["type"] == "signature_delta":
                    signature = unseal(delta["signature"])
                else:
                    texts += [value for key, value in delta.items() if key != "type"]
            case "content_block_stop":
                whole = "".join(texts)
                match block["type"]:
                    case "text":
                        blocks.append(whole)
                    case "thinking":
                        blocks.append((whole, signature.encrypted if signature else None))
                    case "tool_use":
                        assert block["id"].startswith("call_")
                        blocks.append(f"{block['name']}({whole})")
    return blocks
