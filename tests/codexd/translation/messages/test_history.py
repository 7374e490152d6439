import pytest
from support.bodies import (
    BLOCK,
    HI,
    LONG_ID,
    PDF,
    PNG,
    call,
    image,
    input_of,
    item,
    make,
    output,
    reasoning,
    result,
    text,
    thinking,
    translate,
    use,
)

from codexd.jsontext import dumps

IMAGE_ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
}
COMPACTION = {"type": "compaction", "content": "Summary.", "signature": "s"}
SHORT_ID = input_of(("user", "hi"), ("assistant", [use(LONG_ID)]), ("user", [result(LONG_ID)]))[1]["call_id"]


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        pytest.param(
            [("user", "a"), ("system", "s"), ("user", "b")],
            [item("user", "a"), item("developer", "s"), item("user", "b")],
            id="system-message-between-users",
        ),
        pytest.param(
            [("user", "a"), ("system", [BLOCK])],
            [item("user", "a"), item("developer", "x")],
            id="system-message-in-both-forms",
        ),
        pytest.param([("user", "a"), ("developer", "s")], [item("user", "a"), item("developer", "s")], id="developer"),
        pytest.param(
            [
                ("user", [{"type": "input_text", "text": "a"}]),
                ("assistant", [{"type": "output_text", "text": "b"}, {"type": "refusal", "refusal": "no"}]),
                ("user", [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]),
                ("assistant", [{"type": "reasoning", "text": "hm"}, {"type": "input_text", "text": "c"}]),
                ("user", [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]),
            ],
            [
                item("user", "a"),
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "b"}, {"type": "refusal", "refusal": "no"}],
                },
                IMAGE_ITEM,
                item("assistant", "c"),
                IMAGE_ITEM,
            ],
            id="parts-of-openai",
        ),
        pytest.param(
            [
                ("user", [text("a"), thinking()]),
                ("assistant", [text("a"), thinking("rs_1"), use("c1"), text("b"), thinking("rs_2"), use("c2")]),
                ("user", [result("c1"), result("c2")]),
            ],
            [
                item("user", "a"),
                item("assistant", "a"),
                reasoning("rs_1"),
                call("c1"),
                item("assistant", "b"),
                reasoning("rs_2"),
                call("c2"),
                output("c1"),
                output("c2"),
            ],
            id="interleaved-order",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [text("")]), ("user", "b")],
            [item("user", "a"), item("user", "b")],
            id="empty-assistant-text",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [image()]), ("user", "b")],
            [
                item("user", "a"),
                item("assistant", "[image: see the next message]"),
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
                },
                item("user", "b"),
            ],
            id="assistant-image",
        ),
        pytest.param(
            [*[("user", "old"), ("assistant", "old")] * 5, ("assistant", [COMPACTION, text("so")]), ("user", "b")],
            [item("user", "Summary."), item("assistant", "so"), item("user", "b")],
            id="compaction",
        ),
        pytest.param(
            [
                ("assistant", [COMPACTION]),
                ("user", "b"),
                ("assistant", [{**COMPACTION, "content": "2"}]),
                ("user", "c"),
            ],
            [item("user", "2"), item("user", "c")],
            id="compaction-the-last",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [{**COMPACTION, "content": None}, text("so")]), ("user", "b")],
            [item("user", "a"), item("assistant", "so"), item("user", "b")],
            id="compaction-null",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use()]), ("user", [text("and"), result()])],
            [item("user", "a"), call(), output(), item("user", "and")],
            id="text-before-a-result",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("c1"), use("c2")]), ("user", [result("c2"), result("c1")])],
            [item("user", "a"), call("c1"), call("c2"), output("c2"), output("c1")],
            id="results-in-another-order",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [use("c1"), use("c2")]),
                ("user", [result("c1"), text("t")]),
                ("user", [result("c2")]),
            ],
            [item("user", "a"), call("c1"), call("c2"), output("c1"), output("c2"), item("user", "t")],
            id="results-in-two-messages",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use()]), ("system", "s"), ("user", [result()])],
            [item("user", "a"), call(), output(), item("developer", "s")],
            id="system-between-call-and-result",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("c1"), use("c2")]), ("user", [result("c2"), text("t")])],
            [item("user", "a"), call("c1"), call("c2"), output("c2"), output("c1", "aborted"), item("user", "t")],
            id="call-without-result",
        ),
        pytest.param(
            [("user", [result("gone", "r")])],
            [item("user", "Result of an earlier tool call (gone):", "r")],
            id="result-without-call",
        ),
        pytest.param(
            [("user", [result()]), ("assistant", [use()]), ("user", "t")],
            [
                item("user", "Result of an earlier tool call (call_1):", "done"),
                call(),
                output(value="aborted"),
                item("user", "t"),
            ],
            id="result-before-its-call",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use()]), ("user", [result(content="1"), result(content="2")])],
            [
                item("user", "a"),
                call(),
                output(value="1"),
                item("user", "Result of an earlier tool call (call_1):", "2"),
            ],
            id="duplicate-result",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [use(i=1)]),
                ("user", [result(content="1")]),
                ("assistant", [use(i=2)]),
                ("user", [result(content="2")]),
            ],
            [
                item("user", "a"),
                call(arguments='{"i":1}'),
                output(value="1"),
                call(arguments='{"i":2}'),
                output(value="2"),
            ],
            id="call-id-used-again",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(LONG_ID)]), ("user", [result(LONG_ID)])],
            [item("user", "a"), call(SHORT_ID), output(SHORT_ID)],
            id="long-call-id",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("toolu_01ABC")]), ("user", [result("toolu_01ABC")])],
            [item("user", "a"), call("toolu_01ABC"), output("toolu_01ABC")],
            id="foreign-call-id",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**use(), "input": {"__unparsedToolInput": {"raw": "{bad"}}}]),
                ("user", [result()]),
            ],
            [item("user", "a"), call(), output(value="The arguments of this call were not JSON: {bad\ndone")],
            id="unparsed-input",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**use(), "input": {"__unparsedToolInput": {"raw": "[1]"}}}]),
                ("user", [result()]),
            ],
            [item("user", "a"), call(arguments="[1]"), output()],
            id="unparsed-input-json",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(n=12345678901234567890, f=1.0)]), ("user", [result()])],
            [item("user", "a"), call(arguments='{"n":12345678901234567890,"f":1.0}'), output()],
            id="exact-numbers",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [use(n=123456789012345678901234567890, m=-9223372036854775809)]),
                ("user", [result()]),
            ],
            [
                item("user", "a"),
                call(arguments='{"n":123456789012345678901234567890,"m":-9223372036854775809}'),
                output(),
            ],
            id="exact-numbers-over-64-bits",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(t="größe \u2028")]), ("user", [result()])],
            [item("user", "a"), call(arguments='{"t":"größe \u2028"}'), output()],
            id="not-ascii",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [{"type": "tool_use", "id": "c", "name": "f"}]), ("user", [result("c")])],
            [item("user", "a"), call("c", "f"), output("c")],
            id="no-input",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [use("x", i=1), use("x", i=2)]),
                ("user", [result("x", "1"), result("x", "2")]),
            ],
            [
                item("user", "a"),
                call("x", arguments='{"i":1}'),
                call("x_2", arguments='{"i":2}'),
                output("x", "1"),
                output("x_2", "2"),
            ],
            id="two-calls-of-one-id",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("x"), use("x"), use("x_2")]), ("user", [result("x_2", "3")])],
            [
                item("user", "a"),
                call("x"),
                call("x_3"),
                call("x_2"),
                output("x_2", "3"),
                output("x", "aborted"),
                output("x_3", "aborted"),
            ],
            id="a-new-id-is-no-other-call's",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("")]), ("user", [result("")])],
            [item("user", "a"), call("call_0"), output("call_0")],
            id="empty-id",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [thinking(words="secret"), use()]), ("user", [result()])],
            [item("user", "a"), reasoning(), call(), output()],
            id="thinking",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{"type": "thinking", "thinking": "secret", "signature": "EqQBCgIYAhIM"}, text("b")]),
                ("user", "c"),
            ],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="foreign-signature",
        ),
        pytest.param(
            [
                ("user", "a"),
                (
                    "assistant",
                    [
                        {"type": "thinking", "thinking": "s", "signature": ""},
                        {"type": "thinking", "thinking": "s"},
                        text("b"),
                    ],
                ),
                ("user", "c"),
            ],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="no-signature",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [thinking(tag="ffffffff"), text("b")]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="other-account",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [thinking(model="gpt-6-sol"), text("b")]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="other-account-other-model",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**thinking(), "signature": thinking()["signature"][:-9]}, text("b")]),
                ("user", "c"),
            ],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="altered-signature",
        ),
        pytest.param(
            [
                ("user", "a"),
                (
                    "assistant",
                    [
                        {"type": "redacted_thinking", "data": "EmwK"},
                        {"type": "redacted_thinking", "data": thinking()["signature"]},
                        text("b"),
                    ],
                ),
                ("user", "c"),
            ],
            [item("user", "a"), reasoning(), item("assistant", "b"), item("user", "c")],
            id="redacted-thinking",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [text("b"), thinking()]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="only-thinking",
        ),
        pytest.param(
            [("assistant", "summary"), ("user", "go on")],
            [item("assistant", "summary"), item("user", "go on")],
            id="begins-with-the-assistant",
        ),
        pytest.param(
            [("assistant", "b"), ("system", "s")],
            [item("assistant", "b"), item("developer", "s")],
            id="prefill-system-last",
        ),
    ],
)
def test_messages(messages, items):
    assert input_of(*messages) == items


def test_reasoning_is_left_out_on_demand():
    messages = [("user", "a"), ("assistant", [thinking(), text("b")]), ("user", "c")]
    assert input_of(*messages, keep_reasoning=False) == [item("user", "a"), item("assistant", "b"), item("user", "c")]


@pytest.mark.parametrize(
    ("block", "value"),
    [
        pytest.param(result(content=None), "(no output)", id="empty-result"),
        pytest.param(result(content=""), "(no output)", id="empty-result-string"),
        pytest.param(result(content=[]), "(no output)", id="empty-result-list"),
        pytest.param(result(content=[text("")]), "(no output)", id="empty-result-empty-text"),
        pytest.param(result(content="boom", is_error=True), "Error: boom", id="failed-result"),
        pytest.param(result(content="Error: boom", is_error=True), "Error: boom", id="failed-result-said"),
        pytest.param(result(content=[text("boom")], is_error=True), "Error: boom", id="failed-result-block"),
        pytest.param(result(content=None, is_error=True), "Error: the tool failed", id="failed-result-empty"),
        pytest.param(result(content=[text("r")]), "r", id="one-text"),
        pytest.param(result(content=[text("r"), text("s")]), item("user", "r", "s")["content"], id="two-texts"),
        pytest.param(
            result(content=[text("r"), image()]),
            [{"type": "input_text", "text": "r"}, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            id="result-with-image",
        ),
        pytest.param(
            result(
                content=[
                    text("r"),
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
                ]
            ),
            [
                {"type": "input_text", "text": "r"},
                {"type": "input_file", "filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            ],
            id="result-with-pdf",
        ),
        pytest.param(
            result(content=[{"type": "tool_reference", "tool_name": "WebFetch"}]),
            "Tool loaded: WebFetch",
            id="tool-reference",
        ),
        pytest.param(
            result(content=[image()], is_error=True),
            [
                {"type": "input_text", "text": "Error: the tool failed"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
            id="failed-image",
        ),
    ],
)
def test_results(block, value):
    assert input_of(("user", "a"), ("assistant", [use()]), ("user", [block]))[2] == output(value=value)


def test_no_cache_control_goes_up():
    mark = {"cache_control": {"type": "ephemeral"}}
    blocks = [{**result(content=[{**image(), **mark}, {**text("x"), **mark}]), **mark}, {**text("x"), **mark}]
    body = make(
        [*HI, {"role": "assistant", "content": [{**use(), **mark}]}, {"role": "user", "content": blocks}],
        system=[{**text("x"), **mark}],
        tools=[{"name": "Bash", "input_schema": {}, **mark}],
        **mark,
    )
    assert b"cache_control" not in dumps(translate(body))


def test_an_image_that_a_tool_made_badly_does_not_end_the_session():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "Draw", "input": {}}]}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "Done."}, image]}
    hello = {"role": "user", "content": "hi"}
    body = translate(make(messages=[hello, call, {"role": "user", "content": [result]}]))
    texts = [part["text"] for part in body["input"][-1]["output"]]
    assert texts[0] == "Done."
    assert "is not a PNG, JPEG, GIF or WebP image" in texts[1]
