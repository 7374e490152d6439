"""Which item an event belongs to, and what is new in it."""

import pytest

from codexd import bounds
from codexd.errors import StreamBroken
from codexd.translation.answering.output_items import ItemQueue, OutputItem, OutputReader
from codexd.translation.chat.stream import ChatStream
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.stream import MessagesStream
from codexd.translation.reading.tool_names import ToolNames
from codexd.translation.responses.stream import ResponsesStream
from tests.support.upstream_events import (
    added,
    arguments,
    call,
    custom_call,
    custom_input,
    done,
    end,
    message,
    reasoning,
    refusal,
    summary,
    text,
)


class Recorder(OutputItem):
    """Writes down what it gets."""

    def __init__(self, kind):
        super().__init__()
        self.type = kind
        self.got = []

    def begin(self, item):
        self.got.append("begin")

    def add_text(self, part, text):
        if text:
            self._seen.add(part, text)
            self.got.append((*part, text))

    def add_annotation(self, index, annotation):
        self.got.append((index, annotation["url"]))

    def finish(self, item):
        for index, part in enumerate(item.get("content", [])):
            self.complete_part(index, part)
        self.got.append("finish")


TYPES = ("message", "reasoning", "function_call", "custom_tool_call")


def read(*events, end=None):
    reader = OutputReader({kind: lambda kind=kind: Recorder(kind) for kind in TYPES})
    known = [reader.receive(event) for event in events]
    reader.end(end or {})
    return reader, known


def event(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def item(kind="message", **fields):
    return {"type": kind, **fields}


TEXT = {"type": "output_text", "text": "ab"}


@pytest.mark.parametrize(
    ("events", "got"),
    [
        pytest.param(
            [
                event("output_item.added", output_index=0, item=item(id="m")),
                event("output_text.delta", item_id="m", content_index=0, delta="a"),
                event("output_text.done", item_id="m", content_index=0, text="ab"),
                event("content_part.done", item_id="m", content_index=0, part=TEXT),
                event("output_item.done", output_index=0, item=item(id="m", content=[TEXT])),
            ],
            ["begin", ("text", 0, "a"), ("text", 0, "b"), "finish"],
            id="each-text-once",
        ),
        pytest.param(
            [
                event("output_text.delta", output_index=3, delta="a"),
                event("output_item.done", output_index=3, item=item(id="m", content=[TEXT])),
            ],
            [("text", 0, "a"), ("text", 0, "b"), "finish"],
            id="known-by-its-index",
        ),
        pytest.param(
            [
                event("output_item.added", item=item("function_call", call_id="c")),
                event("output_item.done", item=item("function_call", id="f", call_id="c")),
                event("function_call_arguments.done", item_id="f", arguments="{}"),
            ],
            ["begin", "finish", ("arguments", 0, "{}")],
            id="known-by-its-call-id",
        ),
        pytest.param(
            [
                event("output_text.delta", item_id="m", delta="a"),
                event("output_text.annotation.added", item_id="m", content_index=0, annotation={"url": "u"}),
                event("content_part.done", item_id="m", part={**TEXT, "text": "a", "annotations": [{"url": "v"}]}),
            ],
            [("text", 0, "a"), (0, "u"), (0, "v")],
            id="annotations",
        ),
        pytest.param(
            [event("refusal.delta", item_id="m", delta="no"), event("refusal.done", item_id="m", refusal="nope")],
            [("refusal", 0, "no"), ("refusal", 0, "pe")],
            id="refusal",
        ),
        pytest.param(
            [
                event("output_text.delta", item_id="m", delta="a"),
                event("reasoning_summary_text.delta", item_id="m", delta="b"),
            ],
            [("text", 0, "a")],
            id="an-event-for-another-type-of-item",
        ),
    ],
)
def test_what_an_item_gets(events, got):
    reader, known = read(*events)
    assert all(known)
    assert [found.got for found in reader.items] == [got]


def test_the_last_event_adds_the_items_that_no_other_event_brought():
    reader, _ = read(
        event("output_text.delta", output_index=0, delta="a"),
        end={"output": [item(content=[TEXT]), item("reasoning"), "odd"]},
    )
    assert [found.type for found in reader.items] == ["message", "reasoning"]
    assert reader.items[0].got == [("text", 0, "a"), ("text", 0, "b"), "finish"]


def test_events_about_no_item_and_items_of_other_types():
    reader, known = read(
        event("created"), event("output_item.added", output_index=0, item=item("file_search_call", id="x"))
    )
    assert known == [False, True]
    assert reader.items == []


def test_bytes_are_counted_by_type():
    reader, _ = read(
        event("output_text.delta", item_id="m", delta="é"),
        event("reasoning_summary_text.delta", item_id="r", delta="abc"),
    )
    assert reader.count_bytes(Recorder) == 5
    assert reader.items[0].utf8_bytes == 2


def test_a_queue_keeps_the_order_of_appearance():
    queue = ItemQueue()
    assert queue.current is None
    first, second = queue.add(Recorder("message")), queue.add(Recorder("reasoning"))
    assert queue.current is first
    queue.next()
    assert queue.current is second
    queue.next()
    assert queue.current is None
    assert queue.all == [first, second]


# -- what comes twice must be the same ----------------------------------------------------------------


PIECES = ["The quick ", "brown ", "fox"]
WHOLE_TEXT = "".join(PIECES)
DAMAGE = {
    "the first is lost": PIECES[1:],
    "one in the middle is lost": [PIECES[0], PIECES[2]],
    "the first comes twice": [PIECES[0], *PIECES],
    "the last comes twice": [*PIECES, PIECES[2]],
    "they come in another order": [PIECES[1], PIECES[0], PIECES[2]],
    "one is another one": [PIECES[0], "red ", PIECES[2]],
}
HARMLESS = {"all come": PIECES, "the tail is lost": PIECES[:2], "none comes": []}

KINDS = {
    "text": (text, lambda whole: message(0, whole), "output_text.done", "text"),
    "refusal": (
        refusal,
        lambda whole: {**message(0), "content": [{"type": "refusal", "refusal": whole}]},
        "refusal.done",
        "refusal",
    ),
    "summary": (summary, lambda whole: reasoning(0, whole), "reasoning_summary_text.done", "text"),
    "reasoning": (
        lambda delta: {**summary(delta), "type": "response.reasoning_text.delta", "content_index": 0},
        lambda whole: {**reasoning(0), "content": [{"type": "reasoning_text", "text": whole}]},
        "reasoning_text.done",
        "text",
    ),
    "arguments": (arguments, lambda whole: call(0, whole), "function_call_arguments.done", "arguments"),
    "input": (custom_input, lambda whole: custom_call(0, whole), "custom_tool_call_input.done", "input"),
}

STREAMS = {
    "messages": lambda: MessagesStream(
        message_id="msg_1",
        model="m",
        upstream_model="m",
        account_tag="t",
        tool_names=ToolNames(),
        thinking=Thinking.SHOWN,
        reports_refusals=True,
    ),
    "chat": lambda: ChatStream(
        completion_id="c", model="m", upstream_model="m", account_tag="t", tool_names=ToolNames(), shows_reasoning=True
    ),
    "responses": lambda: ResponsesStream(model="m", verbatim=False),
    "codex": lambda: ResponsesStream(model="m", verbatim=True),
}


def make_answer(kind, pieces, repeated, whole_text=WHOLE_TEXT):
    """The events of an answer; ``repeated`` says where the whole text comes."""
    delta, make_item, done_type, field = KINDS[kind]
    whole = make_item(whole_text)
    first = delta("")
    where = {name: first[name] for name in first if name.endswith("_index") or name == "item_id"}
    return [
        added(0, **make_item("")),
        *map(delta, pieces),
        *([{"type": f"response.{done_type}", **where, field: whole_text}] if repeated == "text" else []),
        *([done(0, **whole)] if repeated in ("item", "both") else []),
        *([done(0, **make_item(""))] if repeated == "the end alone" else []),
        end(output=[whole] if repeated in ("both", "end", "the end alone") else []),
    ]


def play(api, events):
    stream = STREAMS[api]()
    return [made for each in events for made in stream.receive_event(each, now=0.0)]


PAIRS = [(api, kind) for api in STREAMS for kind in KINDS if (api, kind) != ("messages", "input")]
"""A Messages request can't name a custom tool."""


@pytest.mark.parametrize("repeated", ["text", "item", "end", "both"])
@pytest.mark.parametrize("pieces", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize(("api", "kind"), PAIRS)
def test_a_text_that_differs_from_its_deltas_is_a_broken_stream(api, kind, pieces, repeated):
    with pytest.raises(StreamBroken, match="lost or repeated"):
        play(api, make_answer(kind, pieces, repeated))


@pytest.mark.parametrize("repeated", ["text", "item", "end", "both", "nowhere"])
@pytest.mark.parametrize("pieces", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize(("api", "kind"), PAIRS)
def test_a_text_that_is_the_same_is_not(api, kind, pieces, repeated):
    play(api, make_answer(kind, pieces, repeated))


@pytest.mark.parametrize("repeated", ["text", "item", "end", "both"])
@pytest.mark.parametrize("api", ["messages", "chat"])
def test_of_a_very_long_text_only_the_length_is_compared(api, repeated, monkeypatch):
    whole = deltas_of(play(api, make_answer("text", PIECES, repeated)))
    monkeypatch.setattr(bounds, "COMPARED_BYTES", 12)
    for pieces in (PIECES, [*PIECES[:2], "", PIECES[2]]):
        assert deltas_of(play(api, make_answer("text", pieces, repeated))) == whole
    assert deltas_of(play(api, make_answer("text", PIECES[:2], repeated))) == whole  # the tail is added
    with pytest.raises(StreamBroken, match="lost or repeated"):
        play(api, make_answer("text", [*PIECES, PIECES[2]], repeated))


TIDIED = {
    "white space at the end": "The quick brown fox\n\n",
    "white space at the beginning": "\n The quick brown fox",
    "line ends": "The quick\r\nbrown fox",
    "Unicode form": "The quick cafe\u0301",
    "layout of JSON": '{"path":"/tmp","lines": [1, 2]}',
}
REPETITIONS = {
    "line ends": "The quick\nbrown fox",
    "Unicode form": "The quick caf\u00e9",
    "layout of JSON": '{"lines":[1,2],"path":"/tmp"}',
}


def deltas_of(events):
    """The pieces of text that a client got, in any API."""
    deltas = [made["choices"][0]["delta"] if "choices" in made else made.get("delta") for made in events]
    return [delta for delta in deltas if delta and not {"signature", "reasoning_details", "stop_reason"} & set(delta)]


@pytest.mark.parametrize("repeated", ["text", "item", "end", "both"])
@pytest.mark.parametrize("how", TIDIED)
@pytest.mark.parametrize(("api", "kind"), PAIRS)
def test_a_repetition_may_be_tidier_than_the_deltas(api, kind, how, repeated):
    streamed, whole = TIDIED[how], REPETITIONS.get(how, WHOLE_TEXT)
    alone = play(api, make_answer(kind, [streamed], "nowhere"))
    assert deltas_of(play(api, make_answer(kind, [streamed], repeated, whole))) == deltas_of(alone)
    play(api, make_answer(kind, [whole], repeated, streamed))


@pytest.mark.parametrize("changed", ['{"path":"/tmp","lines": [1]}', "[1, 2]", "{", '{"lines":[1,2]}'])
@pytest.mark.parametrize("api", STREAMS)
def test_json_of_another_value_differs(api, changed):
    events = make_answer("arguments", [TIDIED["layout of JSON"]], "item", changed)
    with pytest.raises(StreamBroken, match="lost or repeated"):
        play(api, events)


@pytest.mark.parametrize("ids", ["kept", "left out"])
@pytest.mark.parametrize("api", STREAMS)
def test_the_last_event_may_leave_out_items(api, ids):
    """Two messages, of which the last event repeats the second one only, or reasoning, which it does not repeat."""
    first, second = ({**message(0, "one"), "id": "msg_a"}, {**message(0, "two"), "id": "msg_b"})
    hidden = {**reasoning(0), "content": [{"type": "reasoning_text", "text": "thought"}]}
    if ids == "kept":
        play(api, [done(0, **first), done(1, **second), end(output=[second])])
    else:
        play(api, [done(0, **hidden), done(1, **first), end(output=[{**first, "id": None}])])


@pytest.mark.parametrize("kind", ["text", "refusal", "arguments"])
@pytest.mark.parametrize("api", ["messages", "chat"])
def test_a_text_that_comes_after_the_end_of_its_item_is_a_broken_stream(api, kind):
    with pytest.raises(StreamBroken):
        play(api, make_answer(kind, [], "the end alone"))


@pytest.mark.parametrize("repeated", ["item", "both"])
@pytest.mark.parametrize(("api", "kind"), PAIRS)
def test_a_delta_that_comes_after_the_end_of_its_item_is_a_broken_stream(api, kind, repeated):
    *events, ending = make_answer(kind, PIECES[:2], repeated)
    with pytest.raises(StreamBroken):
        play(api, [*events, KINDS[kind][0](PIECES[2]), ending])


@pytest.mark.parametrize("api", ["messages", "chat"])
def test_parts_that_are_mixed_up_are_a_broken_stream(api):
    parts = [(0, "a"), (1, "b"), (0, "c")]
    with pytest.raises(StreamBroken, match="mixed up"):
        play(api, [{**text(delta), "content_index": index} for index, delta in parts])


@pytest.mark.parametrize("api", ["messages", "chat"])
def test_a_tail_is_not_added_behind_a_later_part(api):
    events = [text("a"), {**text("x"), "content_index": 1}, done(0, **message(0, "ab", "x"))]
    with pytest.raises(StreamBroken, match="mixed up"):
        play(api, events)
