import json

import pytest
from hypothesis import given, settings
from support.answers import answers

from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.collect import MessageCollector, read_arguments
from codexd.translation.messages.stream import MessagesStream
from codexd.translation.reading.reasoning import unseal
from codexd.translation.reading.tool_names import ToolNames

few = settings(deadline=None, max_examples=150)


def collect(events):
    stream = MessagesStream(
        message_id="msg_1",
        model="claude-x",
        upstream_model="gpt-5.5",
        account_tag="0a1b2c3d",
        tool_names=ToolNames(),
        thinking=Thinking.SHOWN,
        reports_refusals=True,
    )
    collector = MessageCollector()
    for event in events:
        collector.receive_events(stream.receive_event(event, now=0.0))
    return collector.document


@few
@given(answers())
def test_the_message_holds_what_the_answer_held(answer):
    content = collect(answer.events)["content"]
    for block in content:
        if block.get("signature"):
            block["signature"] = unseal(block["signature"]).encrypted
    assert content == answer.content


def item_done(index, **item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def test_a_whole_message():
    usage = {"input_tokens": 120, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 9}
    message = collect(
        [
            item_done(0, id="msg_0", type="message", content=[{"type": "output_text", "text": "Looking."}]),
            item_done(1, id="fc_1", type="function_call", call_id="call_1", name="Bash", arguments='{"command":"ls"}'),
            {"type": "response.completed", "response": {"status": "completed", "usage": usage}},
        ]
    )
    assert message == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "call_1", "name": "Bash", "input": {"command": "ls"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 56,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 64,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 0},
        },
    }


def test_parallel_calls_keep_their_order():
    calls = [
        item_done(i, id=f"fc_{i}", type="function_call", call_id=f"call_{i}", name="f", arguments=f'{{"i":{i}}}')
        for i in range(3)
    ]
    content = collect([*calls, {"type": "response.completed", "response": {}}])["content"]
    assert [block["input"] for block in content] == [{"i": 0}, {"i": 1}, {"i": 2}]


DEEP = '{"a":' * 300 + "1" + "}" * 300


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": 1.0, "b": "é"}', {"a": 1.0, "b": "é"}),
        (r'{"a": "\ud800"}', {"a": "\ufffd"}),
        *(
            (text, {"__unparsedToolInput": {"raw": text, "len": len(text)}})
            for text in ("{bad", "[1]", "5", "null", '"x"', DEEP)
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_arguments_are_an_object(text, value):
    assert read_arguments(text) == value
    assert json.dumps(value)
