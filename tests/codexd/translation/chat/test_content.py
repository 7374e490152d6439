"""Content parts of Chat messages."""

import re

import pytest
from support.bodies import PDF, PNG
from support.chat_bodies import (
    PNG_URL,
    ask,
    assistant,
    image,
    input_of,
    losses_of,
    text,
    tool,
    tool_call,
    user,
)

from codexd.errors import RequestInvalid
from codexd.translation.reading.losses import LossKind

IMAGE = {"type": "input_image", "image_url": PNG_URL}


FILE = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}


JPEG_CLAIM = f"data:image/jpeg;base64,{PNG}"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (image(), [IMAGE]),
        (image(detail="low"), [{**IMAGE, "detail": "low"}]),
        (image(JPEG_CLAIM), [IMAGE]),
        ({"type": "image_url", "image_url": PNG_URL}, [IMAGE]),
        (image("https://example.com/a.png"), [{"type": "input_image", "image_url": "https://example.com/a.png"}]),
        ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}}, [FILE]),
        ({"type": "file", "file": {"file_data": PDF}}, [{**FILE, "filename": "document.pdf"}]),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, [IMAGE]),
        (
            {"type": "document", "title": "a", "source": {"type": "base64", "data": PDF}},
            [FILE],
        ),
        ({"type": "input_text", "text": "the real question"}, [{"type": "input_text", "text": "the real question"}]),
        ({"type": "output_text", "text": "x", "annotations": []}, [{"type": "input_text", "text": "x"}]),
        ({"type": "refusal", "refusal": "no"}, [{"type": "input_text", "text": "no"}]),
        ({"type": "input_image", "image_url": PNG_URL}, [IMAGE]),
        ({"type": "input_image", "image_url": PNG_URL, "detail": "high"}, [{**IMAGE, "detail": "high"}]),
        ({"type": "input_image", "image_url": {"url": PNG_URL, "detail": "low"}}, [{**IMAGE, "detail": "low"}]),
        ({"type": "image_url", "image_url": {"url": PNG_URL}, "detail": "low"}, [{**IMAGE, "detail": "low"}]),
        ({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}, [FILE]),
        ({"type": "input_file", "file": {"filename": "a.pdf", "file_data": PDF}}, [FILE]),
        ({"type": "file", "filename": "a.pdf", "file_data": PDF}, [FILE]),
        (
            {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]},
            [{"type": "input_text", "text": "t\ns\nx"}],
        ),
        ({"type": "reasoning", "text": "hm"}, []),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, []),
        pytest.param(image(None), [], id="image-without-url"),
        ({"type": "image_url", "image_url": None}, []),
    ],
)
def test_parts(part, expected):
    made = input_of(user([text("look"), part]))
    assert made[0]["content"] == [{"type": "input_text", "text": "look"}, *expected]


def test_an_image_that_a_tool_drew_and_that_cant_be_sent_is_no_error():
    svg = image("data:image/svg+xml;base64,PHN2Zy8+")
    messages = [assistant(None, tool_call()), tool(content=[svg])]
    problem = "the data is not a PNG, JPEG, GIF or WebP image, but an SVG image"
    assert input_of(*messages)[1]["output"] == f"[image left out: {problem}]"
    assert losses_of(ask(*messages)) == {"messages[1].content[0]": LossKind.DROPPED}


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant", "tool"])
@pytest.mark.parametrize(
    ("part", "path", "words"),
    [
        ({"type": "video_url", "video_url": {"url": "x"}}, "type", "'video_url' can't be sent to the model; send text"),
        ({"type": "hologram", "text": "the real question"}, "type", "'hologram' can't be sent"),
        ({"type": "input_audio", "input_audio": {}}, "type", "no audio"),
        ({"type": "input_file", "file_id": "file-1"}, "file_id", "send file_data instead"),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, "file_url", "send file_data instead"),
        ({"type": "input_image", "file_id": "file-1"}, "file_id", "send image_url instead"),
        ({"type": "input_text"}, "text", "required"),
        ({}, "type", "required"),
    ],
)
def test_parts_that_cant_be_sent_are_refused(role, part, path, words):
    if role == "tool" and not part:
        return  # a tool's list without types is any JSON
    message = {"role": role, "content": [part], **({"tool_call_id": "call_1"} if role == "tool" else {})}
    with pytest.raises(RequestInvalid, match=re.escape(words)) as refused:
        input_of(assistant(None, tool_call()), message)
    assert refused.value.path == f"messages[1].content[0].{path}"
