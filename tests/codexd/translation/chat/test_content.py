"""Content parts of Chat messages."""

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
        ({"type": "hologram"}, [{"type": "input_text", "text": "[unsupported content part: hologram]"}]),
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
    assert input_of(*messages)[1]["output"] == "[image left out: it can't be sent to the model]"
    assert losses_of(ask(*messages)) == {"messages[1].content[0]": LossKind.DROPPED}
