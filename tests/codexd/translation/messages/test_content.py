import base64

import pytest
from support.bodies import PDF as PDF_DATA
from support.bodies import PNG
from support.media import make_image

from codexd.errors import RequestInvalid
from codexd.translation.messages.content import to_parts
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.parts import read_content

IMAGES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}


def parts_of(*blocks):
    return to_parts(read_content(Fields({"content": list(blocks)}, "messages[0]"), "content"))


def text(words):
    return {"type": "input_text", "text": words}


def base64_image(media_type, data):
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def document(source, **fields):
    return {"type": "document", "source": source, **fields}


PDF = {"type": "base64", "media_type": "application/pdf", "data": PDF_DATA}
FILE_DATA = f"data:application/pdf;base64,{PDF_DATA}"


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"type": "text", "text": "a"}, [text("a")]),
        ({"type": "text", "text": ""}, []),
        pytest.param(
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
            [{"type": "input_image", "image_url": "https://example.com/a"}],
            id="image-url",
        ),
        pytest.param(
            document(PDF, title="spec"),
            [{"type": "input_file", "filename": "spec.pdf", "file_data": FILE_DATA}],
            id="pdf",
        ),
        (
            document(PDF, title="Spec.PDF"),
            [{"type": "input_file", "filename": "Spec.PDF", "file_data": FILE_DATA}],
        ),
        (
            document({**PDF, "media_type": None}),
            [{"type": "input_file", "filename": "document.pdf", "file_data": FILE_DATA}],
        ),
        pytest.param(
            {"type": "image", "source": {"type": "url", "url": f"data:image/png;base64,{PNG}"}},
            [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            id="image-in-its-url",
        ),
        pytest.param(
            document({"type": "url", "url": FILE_DATA}, title="a"),
            [{"type": "input_file", "filename": "a.pdf", "file_data": FILE_DATA}],
            id="document-in-its-url",
        ),
        pytest.param(
            document({"type": "text", "media_type": "text/plain", "data": "body"}, title="t", context="c"),
            [text("t\n\nc\n\nbody")],
            id="text-document",
        ),
        (document({"type": "text", "data": "body"}), [text("body")]),
        pytest.param(
            document(
                {"type": "content", "content": [{"type": "text", "text": "a"}, base64_image("image/png", PNG)]},
                title="t",
            ),
            [text("t"), text("a"), {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            id="content-document",
        ),
        (document({"type": "content", "content": "a"}), [text("a")]),
        (
            document(PDF, title="t", context="c"),
            [
                text("c"),
                {"type": "input_file", "filename": "t.pdf", "file_data": FILE_DATA},
            ],
        ),
        pytest.param(
            {
                "type": "search_result",
                "title": "t",
                "source": "s",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            [text("t\ns\na\nb")],
            id="search-result",
        ),
        ({"type": "tool_reference", "tool_name": "WebFetch"}, [text("Tool loaded: WebFetch")]),
        (
            {"type": "browser_state", "tabs": [{"tab_id": 1, "title": "t", "url": "https://example.com"}]},
            [text("[Browser]\nt\nhttps://example.com")],
        ),
    ],
)
def test_a_block(block, parts):
    assert parts_of(block) == parts


def test_a_message_of_several_blocks():
    url = f"data:image/png;base64,{PNG}"
    assert parts_of({"type": "text", "text": ""}, base64_image("image/png", PNG), {"type": "text", "text": "a"}) == [
        {"type": "input_image", "image_url": url},
        text("a"),
    ]


@pytest.mark.parametrize("media_type", IMAGES)
def test_the_bytes_tell_the_type_of_an_image(media_type):
    data = base64.b64encode(make_image(IMAGES[media_type])).decode()
    for claimed in ("image/jpeg", "image/png", None):
        (part,) = parts_of(base64_image(claimed, data))
        assert part["image_url"] == f"data:{media_type};base64,{data}"


def test_line_breaks_in_base64_are_taken_out():
    broken = "\r\n".join(PNG[start : start + 5] for start in range(0, len(PNG), 5)) + " "
    assert parts_of(base64_image("image/jpeg", broken)) == parts_of(base64_image("image/png", PNG))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"type": "image", "source": {"type": "http"}},
            "messages[0].content[0].source.type: 'http' is not supported; send base64 or url",
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}},
            "messages[0].content[0].source.url: must be a base64 data URL or start with https://; the backend loads no other URLs",
        ),
        (
            document({"type": "http"}),
            "messages[0].content[0].source.type: 'http' is not supported; send base64, text or content",
        ),
        (document({**PDF, "data": ""}), "messages[0].content[0].source.data: must not be empty"),
        (document({**PDF, "data": "%"}), "messages[0].content[0].source.data: is not base64"),
        (document({**PDF, "data": "JVBERg="}), "messages[0].content[0].source.data: is not a PDF"),
        (base64_image("image/png", "é" * 40), "messages[0].content[0].source.data: is not base64"),
        (base64_image("image/png", ""), "messages[0].content[0].source.data: must not be empty"),
        ({"type": "image"}, "messages[0].content[0].source: required"),
        ({"type": "image", "source": "x"}, "messages[0].content[0].source: must be an object"),
        (base64_image("image/png", None), "messages[0].content[0].source.data: required"),
        (
            base64_image("image/png", "AAAA"),
            "messages[0].content[0].source.data: is not a PNG, JPEG, GIF or WebP image",
        ),
        (document({"type": "text"}), "messages[0].content[0].source.data: required"),
        (
            document({"type": "content", "content": [{"type": "text"}]}),
            "messages[0].content[0].source.content[0].text: required",
        ),
        (document(PDF, title=5), "messages[0].content[0].title: must be a string"),
        ({"type": "search_result", "source": "s"}, "messages[0].content[0].title: required"),
        ({"type": 5}, "messages[0].content[0].type: must be a string"),
        ({"type": "text"}, "messages[0].content[0].text: required"),
    ],
)
def test_wrong_blocks(block, message):
    with pytest.raises(RequestInvalid) as error:
        parts_of(block)
    assert str(error.value) == message


@pytest.mark.parametrize("value", [None, "", []])
def test_no_content(value):
    assert read_content(Fields({"content": value}, ""), "content") == []


def test_string_and_block_are_the_same():
    assert to_parts(read_content(Fields({"content": "a"}, ""), "content")) == parts_of({"type": "text", "text": "a"})
