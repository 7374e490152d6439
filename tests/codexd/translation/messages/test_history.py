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

COMPACTION = {"type": "compaction", "content": "Summary.", "signature": "s"}
FAILED_SEARCH = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
MCP_BLOCKS = [
    {"type": "mcp_tool_use", "id": "m", "name": "send", "server_name": "mail", "input": {"to": "x"}},
    {"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("sent")]},
]
SERVED = [
    (
        "web_fetch_tool_result",
        {
            "type": "web_fetch_result",
            "url": "https://example.com",
            "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        },
        "[Fetched page]\nhttps://example.com\nwords",
    ),
    (
        "bash_code_execution_tool_result",
        {"type": "bash_code_execution_result", "stdout": "out", "stderr": "err", "return_code": 1, "content": []},
        "[Result of code execution]\nout\nerr",
    ),
    (
        "code_execution_tool_result",
        {"type": "encrypted_code_execution_result", "encrypted_stdout": "zzz", "stderr": "", "content": []},
        "[Result of code execution: nothing]",
    ),
    (
        "tool_search_tool_result",
        {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "Mail"}],
        },
        "[Tools found]\nMail",
    ),
    ("advisor_tool_result", {"type": "advisor_result", "text": "Think."}, "[Advice]\nThink."),
]


def search(block_id="srvtoolu_ws_1"):
    return {"type": "server_tool_use", "id": block_id, "name": "web_search", "input": {"query": "q"}}


def links(block_id="srvtoolu_ws_1"):
    found = {"type": "web_search_result", "title": "t", "url": "https://example.com", "encrypted_content": "zzz"}
    return {"type": "web_search_tool_result", "tool_use_id": block_id, "content": [found]}


SHORT_ID = input_of(("user", "hi"), ("assistant", [use(LONG_ID)]), ("user", [result(LONG_ID)]))[1]["call_id"]


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        pytest.param(
            [("user", "a"), ("system", "s"), ("user", "b")],
            [item("user", "a"), item("developer", "s"), item("user", "b")],
            id="case-18",
        ),
        pytest.param([("user", "a"), ("system", [BLOCK])], [item("user", "a"), item("developer", "x")], id="case-19"),
        pytest.param([("user", "a"), ("developer", "s")], [item("user", "a"), item("developer", "s")], id="developer"),
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
            id="case-31-and-64",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [text("")]), ("user", "b")],
            [item("user", "a"), item("user", "b")],
            id="case-32",
        ),
        pytest.param(
            [("user", [{"type": "new_thing", "x": 1}])],
            [item("user", "[unsupported content block: new_thing]")],
            id="case-33",
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
            id="case-34",
        ),
        pytest.param(
            [*[("user", "old"), ("assistant", "old")] * 5, ("assistant", [COMPACTION, text("so")]), ("user", "b")],
            [item("user", "Summary."), item("assistant", "so"), item("user", "b")],
            id="case-35",
        ),
        pytest.param(
            [
                ("assistant", [COMPACTION]),
                ("user", "b"),
                ("assistant", [{**COMPACTION, "content": "2"}]),
                ("user", "c"),
            ],
            [item("user", "2"), item("user", "c")],
            id="case-35-the-last",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [{**COMPACTION, "content": None}, text("so")]), ("user", "b")],
            [item("user", "a"), item("assistant", "so"), item("user", "b")],
            id="case-35-null",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use()]), ("user", [text("and"), result()])],
            [item("user", "a"), call(), output(), item("user", "and")],
            id="case-37",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("c1"), use("c2")]), ("user", [result("c2"), result("c1")])],
            [item("user", "a"), call("c1"), call("c2"), output("c2"), output("c1")],
            id="case-38",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [use("c1"), use("c2")]),
                ("user", [result("c1"), text("t")]),
                ("user", [result("c2")]),
            ],
            [item("user", "a"), call("c1"), call("c2"), output("c1"), output("c2"), item("user", "t")],
            id="case-39",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use()]), ("system", "s"), ("user", [result()])],
            [item("user", "a"), call(), output(), item("developer", "s")],
            id="case-40",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("c1"), use("c2")]), ("user", [result("c2"), text("t")])],
            [item("user", "a"), call("c1"), call("c2"), output("c2"), output("c1", "aborted"), item("user", "t")],
            id="case-41",
        ),
        pytest.param(
            [("user", [result("gone", "r")])],
            [item("user", "Result of an earlier tool call (gone):", "r")],
            id="case-42",
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
            id="case-43",
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
            id="case-44",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(LONG_ID)]), ("user", [result(LONG_ID)])],
            [item("user", "a"), call(SHORT_ID), output(SHORT_ID)],
            id="case-45",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use("toolu_01ABC")]), ("user", [result("toolu_01ABC")])],
            [item("user", "a"), call("toolu_01ABC"), output("toolu_01ABC")],
            id="case-46",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**use(), "input": {"__unparsedToolInput": {"raw": "{bad"}}}]),
                ("user", [result()]),
            ],
            [item("user", "a"), call(), output(value="The arguments of this call were not JSON: {bad\ndone")],
            id="case-52",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**use(), "input": {"__unparsedToolInput": {"raw": "[1]"}}}]),
                ("user", [result()]),
            ],
            [item("user", "a"), call(arguments="[1]"), output()],
            id="case-52-json",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(n=12345678901234567890, f=1.0)]), ("user", [result()])],
            [item("user", "a"), call(arguments='{"n":12345678901234567890,"f":1.0}'), output()],
            id="case-53",
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
            id="case-53-over-64-bits",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [use(t="größe \u2028")]), ("user", [result()])],
            [item("user", "a"), call(arguments='{"t":"größe \u2028"}'), output()],
            id="case-54",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [{"type": "tool_use", "id": "c", "name": "f"}]), ("user", [result("c")])],
            [item("user", "a"), call("c", "f"), output("c")],
            id="no-input",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [search(), links(), text("b")]), ("user", "c")],
            [
                item("user", "a"),
                {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
                item("assistant", "b"),
                item("user", "c"),
            ],
            id="case-55",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [search("srvtoolu_01"), links("srvtoolu_01")]), ("user", "c")],
            [
                item("user", "a"),
                item(
                    "assistant",
                    '[Called web_search with {"query":"q"}]',
                    "[Web search results]\nt\nhttps://example.com",
                ),
                item("user", "c"),
            ],
            id="case-55-foreign",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [search(), {**links(), "content": FAILED_SEARCH}]), ("user", "c")],
            [
                item("user", "a"),
                {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
                item("assistant", "[Web search results: failed, max_uses_exceeded]"),
                item("user", "c"),
            ],
            id="case-55-failed",
        ),
        pytest.param(
            [("user", "a"), ("assistant", MCP_BLOCKS), ("user", "b")],
            [
                item("user", "a"),
                item("assistant", '[Called mail/send with {"to":"x"}]', "[Result of the MCP tool]\nsent"),
                item("user", "b"),
            ],
            id="case-56",
        ),
        *(
            pytest.param(
                [("user", "a"), ("assistant", [{"type": kind, "tool_use_id": "s", "content": content}]), ("user", "b")],
                [item("user", "a"), item("assistant", words), item("user", "b")],
                id=f"case-56-{kind}",
            )
            for kind, content, words in SERVED
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
            id="case-57-and-58",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{"type": "thinking", "thinking": "secret", "signature": "EqQBCgIYAhIM"}, text("b")]),
                ("user", "c"),
            ],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="case-59",
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
            id="case-60",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [thinking(tag="ffffffff"), text("b")]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="case-61",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [thinking(model="gpt-6-sol"), text("b")]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="case-61-other-model",
        ),
        pytest.param(
            [
                ("user", "a"),
                ("assistant", [{**thinking(), "signature": thinking()["signature"][:-9]}, text("b")]),
                ("user", "c"),
            ],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="case-62",
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
            id="case-63",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [text("b"), thinking()]), ("user", "c")],
            [item("user", "a"), item("assistant", "b"), item("user", "c")],
            id="case-65",
        ),
        pytest.param(
            [("assistant", "summary"), ("user", "go on")],
            [item("assistant", "summary"), item("user", "go on")],
            id="begins-with-the-assistant",
        ),
        pytest.param(
            [("assistant", "b"), ("system", "s")],
            [item("assistant", "b"), item("developer", "s")],
            id="case-12-system-last",
        ),
    ],
)
def test_messages(messages, items):
    assert input_of(*messages) == items


def test_reasoning_is_left_out_on_demand():
    """case-66"""
    messages = [("user", "a"), ("assistant", [thinking(), text("b")]), ("user", "c")]
    assert input_of(*messages, keep_reasoning=False) == [item("user", "a"), item("assistant", "b"), item("user", "c")]


@pytest.mark.parametrize(
    ("block", "value"),
    [
        pytest.param(result(content=None), "(no output)", id="case-47"),
        pytest.param(result(content=""), "(no output)", id="case-47-string"),
        pytest.param(result(content=[]), "(no output)", id="case-47-list"),
        pytest.param(result(content=[text("")]), "(no output)", id="case-47-empty-text"),
        pytest.param(result(content="boom", is_error=True), "Error: boom", id="case-48"),
        pytest.param(result(content="Error: boom", is_error=True), "Error: boom", id="case-48-said"),
        pytest.param(result(content=[text("boom")], is_error=True), "Error: boom", id="case-48-block"),
        pytest.param(result(content=None, is_error=True), "Error: the tool failed", id="case-48-empty"),
        pytest.param(result(content=[text("r")]), "r", id="one-text"),
        pytest.param(result(content=[text("r"), text("s")]), item("user", "r", "s")["content"], id="two-texts"),
        pytest.param(
            result(content=[text("r"), image()]),
            [{"type": "input_text", "text": "r"}, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            id="case-49",
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
            id="case-50",
        ),
        pytest.param(
            result(content=[{"type": "tool_reference", "tool_name": "WebFetch"}]), "Tool loaded: WebFetch", id="case-51"
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
    """case-36"""
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
