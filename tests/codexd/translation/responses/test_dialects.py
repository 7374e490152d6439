"""Input in the form of Chat Completions or of Anthropic's Messages, in a Responses request."""

import pytest
from support.bodies import PDF, PNG
from support.responses_bodies import IMAGE, call, find_refusal, losses, message, output, read, sdk, translate

from codexd.errors import RequestInvalid

HI = message("user", "hi")
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
URL = IMAGE["image_url"]
CHAT_CALL = {"id": "call_1", "type": "function", "function": {"name": "exec_command", "arguments": '{"cmd":"ls"}'}}
USE = {"type": "tool_use", "id": "call_1", "name": "exec_command", "input": {"cmd": "ls"}}


def text(words):
    return {"type": "input_text", "text": words}


def said(*parts, **more):
    return {"type": "message", "role": "assistant", "content": list(parts), **more}


OLD_FORM = [
    {"role": "assistant", "content": None, "function_call": {"name": "run", "arguments": "{}"}},
    {"role": "function", "name": "run", "content": "x"},
]


@pytest.mark.parametrize("role", ["user", "system", "developer"])
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (text("x"), [text("x")]),
        ({**text("x"), "cache_control": {"type": "ephemeral"}}, [text("x")]),
        ({"type": "text", "text": "the real question"}, [text("the real question")]),
        ({"type": "output_text", "text": "x", "annotations": []}, [text("x")]),
        ({"type": "refusal", "refusal": "no"}, [text("no")]),
        (IMAGE, [IMAGE]),
        ({"type": "input_image", "image_url": {"url": URL, "detail": "low"}}, [{**IMAGE, "detail": "low"}]),
        ({"type": "image_url", "image_url": {"url": URL}}, [IMAGE]),
        ({"type": "image_url", "image_url": URL, "detail": "high"}, [{**IMAGE, "detail": "high"}]),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, [IMAGE]),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}, [FILE]),
        ({"type": "input_file", "file": {"filename": "a.pdf", "file_data": PDF}}, [FILE]),
        (FILE, [FILE]),
        ({"type": "document", "title": "a", "source": {"type": "base64", "data": PDF}}, [FILE]),
        ({"type": "reasoning", "text": "hm"}, []),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, []),
    ],
)
def test_parts_of_a_message(role, part, sent):
    body = translate(sdk([{"role": role, "content": [text("look"), part]}]))
    assert body["input"][0]["content"] == [text("look"), *sent]
    if role == "user":
        assert find_refusal(body) is None


@pytest.mark.parametrize(
    ("items", "sent"),
    [
        pytest.param(
            [HI, said({"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}, phase="commentary")],
            [HI, said({"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}, phase="commentary")],
            id="texts",
        ),
        pytest.param(
            [HI, {"role": "assistant", "content": "a", "refusal": "no"}],
            [HI, said({"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"})],
            id="refusal-field",
        ),
        pytest.param(
            [
                HI,
                {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "a.txt"},
            ],
            [HI, call(), output()],
            id="calls-of-chat",
        ),
        pytest.param(
            [
                HI,
                {"role": "assistant", "content": "Look.", "tool_calls": [CHAT_CALL]},
                {
                    "type": "message",
                    "role": "tool",
                    "call_id": "call_1",
                    "content": [{"type": "text", "text": "a.txt"}],
                },
            ],
            [HI, {"type": "message", "role": "assistant", "content": "Look."}, call(), output()],
            id="text-and-calls",
        ),
        pytest.param(
            [HI, *OLD_FORM, *OLD_FORM],
            [
                HI,
                {**call("call_run_1", "run"), "arguments": "{}"},
                output("call_run_1", "x"),
                {**call("call_run_3", "run"), "arguments": "{}"},
                output("call_run_3", "x"),
            ],
            id="old-form",
        ),
        pytest.param(
            [
                HI,
                said({"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "x"}, USE),
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "a.txt"}, text("go")],
                },
            ],
            [HI, said({"type": "output_text", "text": "x"}), call(), output(), message("user", "go")],
            id="blocks-of-anthropic",
        ),
        pytest.param(
            [
                HI,
                call(),
                {
                    **output(),
                    "output": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": URL}}],
                },
            ],
            [HI, call(), {**output(), "output": [text("x"), IMAGE]}],
            id="parts-of-a-result",
        ),
        pytest.param(
            [HI, said({"type": "image_url", "image_url": {"url": URL}}), HI],
            [HI, {"type": "message", "role": "user", "content": [IMAGE]}, HI],
            id="image-from-the-assistant",
        ),
        pytest.param([{**HI, "name": "Ann", "tool_calls": None}], [HI], id="fields-of-chat"),
    ],
)
def test_messages(items, sent):
    body = translate(sdk(items))
    assert body["input"] == sent
    assert find_refusal(body) is None


def test_what_is_lost_is_counted():
    items = [
        {**HI, "name": "Ann"},
        {"role": "assistant", "content": "x", "reasoning_content": "hm", "annotations": []},
        {"role": "user", "content": [{"type": "thinking", "thinking": "hm"}, text("x")]},
        {"role": "assistant", "content": [{"type": "reasoning", "text": "hm"}]},
    ]
    assert losses(sdk(items)) == {
        "input[0].name": "dropped",
        "input[1].reasoning_content": "approximated",
        "input[1].annotations": "cosmetic",
        "input[2].content[0]": "approximated",
        "input[3].content[0]": "approximated",
    }


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"role": "tool", "content": "x"}, "input[0].tool_call_id"),
        ({"role": "assistant", "tool_calls": [{"type": "function"}]}, "input[0].tool_calls[0].function"),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
            "input[0].content[0].file.file_id",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]},
            "input[0].content[0].image_url.url",
        ),
        ({"role": "user", "content": [{"type": "hologram", "text": "the real question"}]}, "input[0].content[0].type"),
        ({"role": "assistant", "content": [{"type": "hologram"}]}, "input[0].content[0].type"),
        ({**output(), "output": [{"type": "hologram"}]}, "input[0].output[0].type"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, None),
    ],
)
def test_what_cant_be_sent_is_refused(item, path):
    if path is None:
        assert find_refusal(translate(sdk([item]))) is not None
        return
    with pytest.raises(RequestInvalid) as refused:
        read(sdk([item]))
    assert refused.value.path == path


@pytest.mark.parametrize("given", [{"messages": [HI]}, {"messages": [HI], "input": None}])
def test_messages_are_the_input_under_another_name(given):
    body = {"model": "gpt-5.5", **given}
    assert translate(body) == translate(sdk([HI]))
    assert losses(body) == {}


def test_messages_beside_the_input_are_left_out():
    body = sdk([HI], messages=[message("user", "another")])
    assert translate(body) == translate(sdk([HI]))
    assert losses(body) == {"messages": "dropped"}


def test_a_wrong_message_is_named_as_the_client_knows_it():
    with pytest.raises(RequestInvalid) as error:
        translate({"model": "gpt-5.5", "messages": [{"role": "tool", "content": "x"}]})
    assert error.value.path == "messages[0].tool_call_id"
