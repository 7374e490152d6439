import base64

import pytest

from codexd.errors import RequestInvalid
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.parts import read_content, sniff_image, text_part, to_base64, to_image_url, to_output

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
SOURCE = Fields({}, "source")


@pytest.mark.parametrize(
    ("parts", "output"),
    [
        ([], "(no output)"),
        ([text_part("a")], "a"),
        ([text_part("a"), text_part("b")], [text_part("a"), text_part("b")]),
        ([{"type": "input_image"}], [{"type": "input_image"}]),
    ],
)
def test_the_output_of_a_call(parts, output):
    assert to_output(parts) == output


def test_both_forms_of_a_text_are_the_same_blocks():
    blocks = [{"type": "text", "text": "a"}]
    forms = [read_content(Fields({"content": content}, ""), "content") for content in ("a", blocks)]
    assert [[block.value for block in form] for form in forms] == [blocks, blocks]
    assert read_content(Fields({"content": ""}, ""), "content") == []


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<svg>", None),
    ],
)
def test_the_first_bytes_give_the_type_of_an_image(head, media_type):
    assert sniff_image(base64.b64encode(head + b"\0" * 20).decode()) == media_type


def test_an_image_url_has_no_line_breaks():
    assert to_image_url(SOURCE, "data", f"{PNG[:8]}\r\n{PNG[8:]}") == f"data:image/png;base64,{PNG}"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("abc", "is not base64"),
        ("ab-_", "is not base64"),
        ("a===", "is not base64"),
    ],
)
def test_what_is_not_base64(data, problem):
    with pytest.raises(RequestInvalid, match=f"^source.data: {problem}"):
        to_base64(SOURCE, "data", data)
