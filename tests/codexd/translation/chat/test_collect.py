import pytest
from openai.types.chat import ChatCompletion
from support.chunks import HEAD, collect, run
from support.upstream_events import COMPLETED, call, done, end, message, reasoning, text


def answer_of(*events, **options):
    document = collect(run(events, include_usage=True, **options))
    ChatCompletion.model_validate(document)
    return document


def test_a_text():
    document = answer_of(text("hi"), end(usage={"input_tokens": 1, "output_tokens": 2}))
    assert document.pop("usage")["total_tokens"] == 3
    assert document == {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "service_tier": "default",
        "system_fingerprint": None,
    }


REFUSAL = {"id": "msg_0", "type": "message", "content": [{"type": "refusal", "refusal": "no"}]}


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        (
            [call(0, '{"a":1}'), call(1, "{}")],
            {},
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "Bash", "arguments": '{"a":1}'}},
                    {"id": "call_1", "type": "function", "function": {"name": "Bash", "arguments": "{}"}},
                ],
            },
        ),
        (
            [{"id": "ctc_0", "type": "custom_tool_call", "call_id": "call_0", "name": "patch", "input": "raw"}],
            {},
            {
                "content": None,
                "tool_calls": [{"id": "call_0", "type": "custom", "custom": {"name": "patch", "input": "raw"}}],
            },
        ),
        (
            [call(0, '{"a":1}')],
            {"functions": True},
            {"content": None, "function_call": {"name": "Bash", "arguments": '{"a":1}'}},
        ),
        ([message(0, "a"), message(1, "b"), message(2, "")], {}, {"content": "ab"}),
        ([REFUSAL], {}, {"content": None, "refusal": "no"}),
        ([], {}, {"content": ""}),
    ],
)
def test_messages(items, options, message):
    found = answer_of(*(done(index, **item) for index, item in enumerate(items)), COMPLETED, **options)
    expected = {"role": "assistant", "refusal": None, "annotations": [], **message}
    assert found["choices"][0]["message"] == expected


def test_an_empty_answer_makes_way_for_the_next():
    thought = [done(0, **reasoning(0, "hm")), COMPLETED]
    chunks = [*run(thought, shows_reasoning=True), *run([text("x"), COMPLETED], shows_reasoning=True)]
    message = collect(chunks)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "x", "refusal": None, "annotations": []}
