"""Calls and results, paired; the client APIs' own forms of histories are tested with them."""

import pytest

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.pairing import (
    MAX_CALL_ID_CHARS,
    PastTurn,
    current_turn,
    legal_call_id,
    pair,
    shorten_call_id,
)


def call(call_id, kind="function_call"):
    return {"type": kind, "call_id": call_id, "name": "f"}


def output(call_id, text="done", kind="function_call_output"):
    return {"type": kind, "call_id": call_id, "output": text}


def turns_of(*items):
    """Items of both sides in their order, as turns."""
    turns = []
    for item in items:
        current_turn(turns, assistant=item["type"].endswith("_call")).items.append(item)
    return turns


USER = {"type": "message", "role": "user", "content": []}


@pytest.mark.parametrize(
    ("items", "paired"),
    [
        pytest.param([call("a"), output("a")], [call("a"), output("a")], id="paired"),
        pytest.param(
            [call("a"), call("b"), USER, output("b"), output("a")],
            [call("a"), call("b"), output("b"), output("a"), USER],
            id="results-move-to-their-turn-in-the-clients-order",
        ),
        pytest.param([call("a"), USER], [call("a"), output("a", "aborted"), USER], id="no-result"),
        pytest.param(
            [call("a"), output("a", "1"), call("a"), output("a", "2")],
            [call("a"), output("a", "1"), call("a"), output("a", "2")],
            id="an-id-used-again-in-a-later-turn",
        ),
        pytest.param(
            [call("a"), call("a"), output("a", "1"), output("a", "2")],
            [call("a"), call("a_2"), output("a", "1"), output("a_2", "2")],
            id="an-id-used-twice-in-one-turn",
        ),
        pytest.param(
            [call("a"), call("a_2"), call("a")],
            [call("a"), call("a_2"), call("a_3"), *(output(name, "aborted") for name in ("a", "a_2", "a_3"))],
            id="a-new-id-that-is-free",
        ),
        pytest.param(
            [call("a", "custom_tool_call"), output("a")],
            [call("a", "custom_tool_call"), output("a", kind="custom_tool_call_output")],
            id="a-result-takes-the-type-that-answers-its-call",
        ),
        pytest.param([output("a"), call("a")], None, id="a-result-before-its-call"),
    ],
)
def test_pair(items, paired):
    found = pair(turns_of(*items))
    if paired is None:
        text = [
            {"type": "input_text", "text": "Result of an earlier tool call (a):"},
            {"type": "input_text", "text": "done"},
        ]
        paired = [{"type": "message", "role": "user", "content": text}, call("a"), output("a", "aborted")]
    assert found == paired


def test_a_result_without_a_call_is_a_loss_of_its_block():
    losses = Losses()
    item = output("gone")
    pair([PastTurn(assistant=False, items=[item], results=[(item, Fields({}, "messages[0].content[0]", losses))])])
    assert [(loss.kind, loss.path) for loss in losses] == [(LossKind.APPROXIMATED, "messages[0].content[0]")]


@pytest.mark.parametrize("value", ["done", [{"type": "input_text", "text": "done"}]])
def test_arguments_that_were_not_json_go_into_the_result(value):
    bad = call("a")
    turns = [
        PastTurn(assistant=True, items=[bad], unparsed=[(bad, "{bad")]),
        PastTurn(assistant=False, items=[output("a", value)]),
    ]
    note = "The arguments of this call were not JSON: {bad"
    expected = f"{note}\ndone" if value == "done" else [{"type": "input_text", "text": note}, *value]
    assert pair(turns)[1]["output"] == expected


@pytest.mark.parametrize(("call_id", "short"), [("", "call_0"), ("toolu_01", "toolu_01"), ("x" * 64, "x" * 64)])
def test_call_ids_that_stay(call_id, short):
    assert shorten_call_id(call_id) == short


def test_long_call_ids_stay_apart():
    first, second = (shorten_call_id("x" * 100 + end) for end in "ab")
    assert first != second
    assert len(first) == len(second) == MAX_CALL_ID_CHARS


def test_a_shortened_call_id_is_recorded():
    fields = Fields({}, "input[0]")
    assert legal_call_id(fields, "id", "short") == "short"
    legal_call_id(fields, "id", "x" * 100)
    assert [(loss.kind, loss.path) for loss in fields.losses] == [(LossKind.RENAMED, "input[0].id")]
