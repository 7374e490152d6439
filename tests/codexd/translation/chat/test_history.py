import json

import pytest
from support.bodies import PDF, PNG, call, item, output, reasoning, result, thinking, use
from support.chat_bodies import (
    PNG_URL,
    ask,
    assistant,
    custom_call,
    image,
    input_of,
    losses_of,
    sealed,
    system,
    text,
    tool,
    tool_call,
    translate,
    user,
)

from codexd.errors import RequestInvalid
from codexd.translation.reading.losses import LossKind

IMAGE = {"type": "input_image", "image_url": PNG_URL}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
JPEG_CLAIM = f"data:image/jpeg;base64,{PNG}"


def custom(call_id="call_1", name="patch", words="raw"):
    return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": words}


def custom_output(call_id="call_1", value="done"):
    return {"type": "custom_tool_call_output", "call_id": call_id, "output": value}


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        pytest.param(
            [system("a"), {"role": "developer", "content": [text("b"), text("c")]}, user("hi"), system("later")],
            [item("developer", "a"), item("developer", "b", "c"), item("user", "hi"), item("developer", "later")],
            id="system-and-developer",
        ),
        pytest.param([user([text("a"), text("")])], [item("user", "a")], id="an empty text has no part"),
        pytest.param([user(""), user("hi")], [item("user", "hi")], id="an empty message has no item"),
        pytest.param(
            [user("hi"), assistant("x"), user("go")],
            [item("user", "hi"), item("assistant", "x"), item("user", "go")],
            id="assistant text",
        ),
        pytest.param(
            [user("hi"), assistant([text("x"), {"type": "refusal", "refusal": "no"}])],
            [
                item("user", "hi"),
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}],
                },
            ],
            id="refusal part",
        ),
        pytest.param(
            [user("hi"), assistant(None, refusal="no")],
            [
                item("user", "hi"),
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            ],
            id="refusal field",
        ),
        pytest.param(
            [user("hi"), assistant([{"type": "output_text", "text": "x", "annotations": []}], refusal="no")],
            [
                item("user", "hi"),
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}],
                },
            ],
            id="text in the form of Responses, and a refusal",
        ),
        pytest.param(
            [user([{"type": "input_text", "text": "hi"}]), assistant([{"type": "input_text", "text": "x"}])],
            [item("user", "hi"), item("assistant", "x")],
            id="parts of Responses",
        ),
        pytest.param(
            [user("hi"), assistant([{"type": "reasoning", "text": "hm"}, thinking(tag="other"), text("x")])],
            [item("user", "hi"), item("assistant", "x")],
            id="reasoning of others",
        ),
        pytest.param(
            [user("hi"), assistant([thinking("rs_1"), text("x"), use("c1")]), user([result("c1", "1"), text("go")])],
            [
                item("user", "hi"),
                reasoning("rs_1"),
                item("assistant", "x"),
                call("c1"),
                output("c1", "1"),
                item("user", "go"),
            ],
            id="Anthropic's blocks",
        ),
        pytest.param(
            [user("hi"), assistant([use("c1")], tool_call("c2")), tool("c2", "2"), user([result("c1", "1")])],
            [item("user", "hi"), call("c1"), call("c2", "bash"), output("c2", "2"), output("c1", "1")],
            id="calls in both forms",
        ),
        pytest.param(
            [user("hi"), assistant([text("x"), image()]), user("go")],
            [
                item("user", "hi"),
                item("assistant", "x", "[image_url: see the next message]"),
                {"type": "message", "role": "user", "content": [IMAGE]},
                item("user", "go"),
            ],
            id="image from the assistant",
        ),
        pytest.param([user("hi"), assistant("")], [item("user", "hi")], id="nothing said"),
        pytest.param(
            [user("hi"), assistant(None, tool_call("c1"), tool_call("c2")), tool("c2", "2"), tool("c1", "1")],
            [item("user", "hi"), call("c1", "bash"), call("c2", "bash"), output("c2", "2"), output("c1", "1")],
            id="two-calls",
        ),
        pytest.param(
            [assistant("", tool_call()), tool()], [call(name="bash"), output()], id="no empty message before a call"
        ),
        pytest.param(
            [user("a"), assistant("t", tool_call()), user("b"), tool(), user("c")],
            [
                item("user", "a"),
                item("assistant", "t"),
                call(name="bash"),
                output(),
                item("user", "b"),
                item("user", "c"),
            ],
            id="a result is hoisted to its call",
        ),
        pytest.param(
            [assistant(None, tool_call()), user("go")],
            [call(name="bash"), output(value="aborted"), item("user", "go")],
            id="a call without a result",
        ),
        pytest.param(
            [user("hi"), tool("call_9", "r")],
            [item("user", "hi"), item("user", "Result of an earlier tool call (call_9):", "r")],
            id="a result without a call",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content="1"), tool(content="2")],
            [
                call(name="bash"),
                output(value="1"),
                item("user", "Result of an earlier tool call (call_1):", "2"),
            ],
            id="two results of one call",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content="1"), assistant(None, tool_call()), tool(content="2")],
            [call(name="bash"), output(value="1"), call(name="bash"), output(value="2")],
            id="an id that comes again",
        ),
        pytest.param(
            [assistant(None, custom_call("c1"), tool_call("c2")), tool("c1", "p"), tool("c2", "b")],
            [custom("c1"), call("c2", "bash"), custom_output("c1", "p"), output("c2", "b")],
            id="custom-tool",
        ),
        pytest.param(
            [user("hi"), assistant(None, {"function": {"name": "bash", "arguments": {"a": 1}}}), tool("", "r")],
            [
                item("user", "hi"),
                call("call_missing_1_0", "bash", '{"a":1}'),
                output("call_missing_1_0", "r"),
            ],
            id="a call and a result without ids; arguments that are no text",
        ),
        pytest.param(
            [assistant(None, tool_call("c1"), tool_call("c2")), {"role": "tool", "content": "which?"}],
            [
                call("c1", "bash"),
                call("c2", "bash"),
                output("c1", "aborted"),
                output("c2", "aborted"),
                item("user", "Result of an earlier tool call (call_unknown):", "which?"),
            ],
            id="a result without an id and two calls",
        ),
        pytest.param(
            [
                user("hi"),
                assistant(None, function_call={"name": "f", "arguments": '{"a":1}'}),
                {"role": "function", "name": "f", "content": "r"},
            ],
            [item("user", "hi"), call("call_f_1", "f", '{"a":1}'), output("call_f_1", "r")],
            id="the old form",
        ),
        pytest.param(
            [user("hi"), {"role": "function", "name": "f", "content": "r"}],
            [item("user", "hi"), item("user", "Result of an earlier tool call (call_unknown):", "r")],
            id="the old form without a call",
        ),
        pytest.param(
            [assistant(None, tool_call(name="a.b", arguments="")), tool(content=None)],
            [call(name="a_b_2e7336dc"), output(value="(no output)")],
            id="names, empty arguments and empty results",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content=[text("a"), image()])],
            [call(name="bash"), output(value=[{"type": "input_text", "text": "a"}, IMAGE])],
            id="image-in-a-result",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content=json.dumps([text("a"), image()]))],
            [call(name="bash"), output(value=[{"type": "input_text", "text": "a"}, IMAGE])],
            id="image-in-a-result-as-a-string",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content=json.dumps([text("an image")]))],
            [call(name="bash"), output(value='[{"type": "text", "text": "an image"}]')],
            id="other JSON text stays",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content={"temperature": 12})],
            [call(name="bash"), output(value='{"temperature":12}')],
            id="a result that is JSON",
        ),
        pytest.param(
            [assistant(None, tool_call()), tool(content=[1, 2])],
            [call(name="bash"), output(value="[1,2]")],
            id="a result that is a list of anything",
        ),
        pytest.param(
            [assistant("x", tool_call(), reasoning_content="thought", reasoning_details=[sealed()]), tool()],
            [reasoning(), item("assistant", "x"), call(name="bash"), output()],
            id="reasoning comes back",
        ),
        pytest.param(
            [user("hi"), assistant(None, reasoning_details=[sealed()]), user("go")],
            [item("user", "hi"), item("user", "go")],
            id="reasoning that nothing follows",
        ),
        pytest.param(
            [assistant("x", reasoning="never as text", reasoning_details=[sealed(tag="ffffffff"), {"text": "y"}])],
            [item("assistant", "x")],
            id="reasoning of another account",
        ),
    ],
)
def test_messages_become_items(messages, items):
    assert input_of(*messages) == items


def test_long_call_ids_are_shortened_on_both_sides():
    long = "call_" + "x" * 150
    made = input_of(assistant(None, tool_call(long)), tool(long))
    assert len(made[0]["call_id"]) == 64
    assert made[0]["call_id"] == made[1]["call_id"]
    assert losses_of(ask(assistant(None, tool_call(long)), tool(long)))["messages[1].tool_call_id"] is LossKind.RENAMED


def test_stale_reasoning_is_left_out():
    messages = [assistant("x", reasoning_details=[sealed()]), user("go")]
    assert input_of(*messages, keep_reasoning=False) == [item("assistant", "x"), item("user", "go")]
    lost = losses_of(ask(*messages), keep_reasoning=False)
    assert lost == {"messages[0].reasoning_details": LossKind.APPROXIMATED}


def test_reasoning_that_nothing_follows_is_counted():
    lost = losses_of(ask(user("hi"), assistant(None, reasoning_details=[sealed()]), user("go")))
    assert lost == {"messages[1].reasoning_details": LossKind.APPROXIMATED}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "king", "content": "x"}, "messages[1].role: must be system, developer, user, assistant, tool or"),
        ({"content": "x"}, "messages[1].role: required"),
        (user(3), "messages[1].content: must be a list"),
        (user([{"text": "x"}]), "messages[1].content[0].type: required"),
        (user([{"type": "text"}]), "messages[1].content[0].text: required"),
        (
            user([image("http://example.com")]),
            "messages[1].content[0].image_url.url: must be a base64 data URL or",
        ),
        (user([image("data:image/png,x")]), "messages[1].content[0].image_url.url: must be a base64 data URL or"),
        (user([image("data:image/png;base64,aGk=")]), "messages[1].content[0].image_url.url: is not a PNG"),
        (user([image(detail="huge")]), "messages[1].content[0].image_url.detail: must be one of auto, low"),
        (user([{"type": "file", "file": {"file_id": "f"}}]), "messages[1].content[0].file.file_id: is a file on"),
        (user([{"type": "file", "file": {"file_data": "%"}}]), "messages[1].content[0].file.file_data: is not base64"),
        (user([{"type": "input_audio", "input_audio": {}}]), "messages[1].content[0].type: 'input_audio' is not supp"),
        (assistant(None, {"id": "c", "type": "function"}), "messages[1].tool_calls[0].function: required"),
        (assistant(None, {"id": "c", "type": "odd"}), "messages[1].tool_calls[0].type: must be function or custom"),
        (assistant(None, tool_call(name="")), "messages[1].tool_calls[0].function.name: must not be empty"),
        ({"role": "function", "content": "x"}, "messages[1].name: required"),
    ],
)
def test_what_is_wrong_is_named(message, said):
    with pytest.raises(RequestInvalid) as error:
        translate(ask(user("hi"), message))
    assert str(error.value).startswith(said)


def test_messages_without_content_are_refused():
    with pytest.raises(RequestInvalid, match="messages: at least one message with content is required"):
        translate(ask(user("")))
