"""Answers of the backend as Hypothesis makes them: items, the events that each may come in, and how they interleave."""

import json
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.stream import MessagesStream
from codexd.translation.reading.reasoning import unseal
from codexd.translation.reading.tool_names import ToolNames

Event = dict[str, Any]

PIECES = st.lists(st.text(max_size=6), max_size=4)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4), st.lists, max_leaves=4)


@frozen
class Item:
    """An output item: the events that it comes in, its last form, and the content blocks it must become."""

    events: list[Event]
    done: Event
    blocks: list[Event]


@frozen
class Answer:
    """A whole stream, and the content that a client must end up with; a signature stands as its bare ciphertext.

    ``items`` are the output items in the order of first appearance.
    """

    events: list[Event]
    content: list[Event]
    items: list[Event]


@st.composite
def answers(draw: st.DrawFn, more: tuple[Any, ...] = ()) -> Answer:
    """``more`` are kinds of items that not every client API has."""
    kinds = draw(st.lists(st.sampled_from([messages, reasonings, calls, searches, *more]), max_size=4))
    items = [draw(kind(index)) for index, kind in enumerate(kinds)]
    turns = draw(st.permutations([index for index, item in enumerate(items) for _ in item.events]))
    waiting = [iter(item.events) for item in items]
    events = [next(waiting[index]) for index in turns]
    content: list[Event] = []
    searched = False
    order = list(dict.fromkeys(turns))
    for index in order:
        searched = searched or kinds[index] is searches
        content += items[index].blocks if searched else map(_without_quotes, items[index].blocks)
    output = draw(st.sampled_from(["empty", "full", "without ids"]))
    done = [] if output == "empty" else [item.done for item in items]
    if output == "without ids":
        done = [{key: value for key, value in item.items() if key != "id"} for item in done]
    response = {"id": "resp_1", "status": "completed", "output": done, "usage": None}
    start = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
    events = [start, *events, {"type": "response.completed", "response": response}]
    return Answer(events, content, [items[index].done for index in order])


def _without_quotes(block: Event) -> Event:
    """The text before the first search is not kept, so its citations do not quote it."""
    citations = [{**citation, "cited_text": ""} for citation in block.get("citations") or ()]
    return {**block, "citations": citations} if citations else block


@st.composite
def messages(draw: st.DrawFn, index: int) -> Item:
    parts = draw(st.lists(st.tuples(st.sampled_from(["output_text", "refusal"]), PIECES), max_size=2))
    item = {"id": f"msg_{index}", "type": "message", "role": "assistant", "content": []}
    place = {"item_id": item["id"], "output_index": index}
    events = [{"type": "response.output_item.added", "output_index": index, "item": item}]
    style = draw(st.sampled_from(["deltas", "done", "item only"]))
    content = []
    for number, (kind, pieces) in enumerate(parts):
        where = {**place, "content_index": number}
        whole = {"type": kind, _text_key(kind): "".join(pieces)}
        if kind == "output_text":
            whole["annotations"] = draw(st.lists(ANNOTATIONS, max_size=2, unique_by=lambda found: found["url"]))
        if style == "deltas":
            events += [{"type": f"response.{kind}.delta", **where, "delta": piece} for piece in pieces]
        if style != "item only":
            events += [
                {"type": "response.output_text.annotation.added", **where, "annotation": annotation}
                for annotation in whole.get("annotations", ())
            ]
            events.append({"type": f"response.{kind}.done", **where, _text_key(kind): whole[_text_key(kind)]})
            events.append({"type": "response.content_part.done", **where, "part": whole})
        content.append(whole)
    done = {**item, "status": "completed", "content": content}
    events.append(draw(_done_event(done, index)))
    text = "".join(piece for _, pieces in parts for piece in pieces)
    citations = [_to_location(found, part["text"]) for part in content for found in part.get("annotations", ())]
    cited = {"citations": citations} if citations else {}
    return Item(events, done, [{"type": "text", "text": text, **cited}] if text else [])


ANNOTATIONS = st.builds(
    lambda page, start, length: {
        "type": "url_citation",
        "url": f"https://example.com/{page}",
        "title": page,
        "start_index": start,
        "end_index": start + length,
    },
    st.sampled_from("abc"),
    st.integers(0, 9),
    st.integers(0, 9),
)


def _to_location(annotation: Event, text: str) -> Event:
    return {
        "type": "web_search_result_location",
        "url": annotation["url"],
        "title": annotation["title"],
        "cited_text": text[annotation["start_index"] : annotation["end_index"]],
        "encrypted_index": "",
    }


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
    block = {"type": "thinking", "thinking": thinking, "signature": ciphertext}
    return Item(events, done, [block] if shown else [])


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
    return Item(events, done, [{"type": "tool_use", "id": item["call_id"], "name": name, "input": arguments}])


@st.composite
def custom_calls(draw: st.DrawFn, index: int) -> Item:
    pieces = draw(PIECES)
    item = {"id": f"ctc_{index}", "type": "custom_tool_call", "call_id": f"call_{index}", "name": "patch", "input": ""}
    place = {"item_id": item["id"], "output_index": index}
    events = [{"type": "response.output_item.added", "output_index": index, "item": item}]
    style = draw(st.sampled_from(["deltas", "done", "item only"]))
    if style == "deltas":
        events += [{"type": "response.custom_tool_call_input.delta", **place, "delta": piece} for piece in pieces]
    if style != "item only":
        events.append({"type": "response.custom_tool_call_input.done", **place, "input": "".join(pieces)})
    done = {**item, "status": "completed", "input": "".join(pieces)}
    events.append(draw(_done_event(done, index)))
    return Item(events, done, [])


@st.composite
def images(draw: st.DrawFn, index: int) -> Item:
    item = {"id": f"ig_{index}", "type": "image_generation_call", "status": "in_progress", "result": None}
    done = {**item, "status": "completed", "result": draw(st.sampled_from(["", "aGk="])), "output_format": "webp"}
    events = [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {
            "type": "response.image_generation_call.partial_image",
            "item_id": item["id"],
            "partial_image_b64": "cGFydA==",
        },
        draw(_done_event(done, index)),
    ]
    return Item(events, done, [])


@st.composite
def searches(draw: st.DrawFn, index: int) -> Item:
    item = {"id": f"ws_{index}", "type": "web_search_call", "status": "in_progress"}
    events = [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {"type": "response.web_search_call.searching", "item_id": item["id"], "output_index": index},
    ]
    kind = draw(st.sampled_from(["search", "open_page", "find_in_page"]))
    status = draw(st.sampled_from(["completed", "failed"]))
    pages = draw(st.lists(st.sampled_from("abc"), max_size=2, unique=True))
    queries = draw(st.lists(st.sampled_from(["bonn weather", "köln"]), max_size=2))
    sources = [{"type": "url", "url": f"https://example.com/{page}"} for page in pages]
    action = {"type": kind, "query": "bonn", "queries": queries, "sources": sources}
    done = {**item, "status": status, "action": action}
    events.append(draw(_done_event(done, index)))
    return Item(events, done, _search_pair(done) if kind == "search" else [])


def _search_pair(done: Event) -> list[Event]:
    query = "; ".join(done["action"]["queries"]) or "bonn"
    results: Any = [
        {
            "type": "web_search_result",
            "url": source["url"],
            "title": "example.com",
            "encrypted_content": "",
            "page_age": None,
        }
        for source in done["action"]["sources"]
    ]
    if done["status"] == "failed":
        results = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    name = f"srvtoolu_{done['id']}"
    return [
        {"type": "server_tool_use", "id": name, "name": "web_search", "input": {"query": query}},
        {"type": "web_search_tool_result", "tool_use_id": name, "content": results},
    ]


def _done_event(item: Event, index: int) -> st.SearchStrategy[Event]:
    """The last event of an item; it may lack the output index."""
    bare = {"type": "response.output_item.done", "item": item}
    return st.sampled_from([bare, {**bare, "output_index": index}])


# -- through the translation, and read back -------------------------------------------------------

NOW = 1_795_000_000.0


def make_stream(thinking=Thinking.SHOWN, reports_refusals=True, tools=(), **options):
    return MessagesStream(
        message_id="msg_1",
        model="claude-x",
        upstream_model="gpt-5.5",
        account_tag="0a1b2c3d",
        tool_names=ToolNames(tools),
        thinking=thinking,
        reports_refusals=reports_refusals,
        **options,
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
    """The blocks in short: text, ``(thinking, ciphertext or None)``, ``name(arguments)``, or the results of a search."""
    blocks, texts, signature = [], [], None
    for event in events:
        match event["type"]:
            case "content_block_start":
                block, texts, signature = event["content_block"], [], None
            case "content_block_delta":
                delta = event["delta"]
                if delta["type"] == "signature_delta":
                    signature = unseal(delta["signature"])
                elif delta["type"] != "citations_delta":
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
                    case "server_tool_use":
                        blocks.append(f"{block['name']}({whole})")
                    case "web_search_tool_result":
                        blocks.append(block["content"])
    return blocks
