"""Which item an event belongs to, and what is new in it."""

import pytest

from codexd.translation.answering.output_items import ItemQueue, OutputItem, OutputReader


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
