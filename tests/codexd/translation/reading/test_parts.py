import base64

import pytest
from support.bodies import PDF, PNG
from support.media import make_animation

from codexd.errors import RequestInvalid
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.parts import (
    leave_out,
    locate,
    read_content,
    text_part,
    to_file_data,
    to_image_url,
    to_link,
    to_output,
)


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


def encode(data):
    return base64.b64encode(data).decode()


def source_of(data, **fields):
    return Fields({"data": data, **fields}, "source")


def losses_of(source):
    return [(loss.path, loss.kind, loss.note) for loss in source.losses]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PNG, id="plain"),
        pytest.param(f"{PNG[:8]}\r\n{PNG[8:]}\n", id="lines"),
        pytest.param(PNG.rstrip("="), id="no-padding"),
        pytest.param(PNG.translate(str.maketrans("+/", "-_")), id="alphabet-for-urls"),
        pytest.param(f"data:image/png;base64,{PNG}", id="data-url"),
    ],
)
def test_an_image_goes_out_in_the_one_form_that_the_backend_accepts(data):
    source = source_of(data, media_type="image/png")
    assert to_image_url(source, "data") == f"data:image/png;base64,{PNG}"
    assert losses_of(source) == []


@pytest.mark.parametrize("claimed", ["image/jpeg", "IMAGE/JPEG", "application/octet-stream"])
def test_an_image_has_its_real_type(claimed):
    source = source_of(PNG, media_type=claimed)
    assert to_image_url(source, "data") == f"data:image/png;base64,{PNG}"
    assert [(path, kind) for path, kind, _ in losses_of(source)] == [("source.data", LossKind.APPROXIMATED)]


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_the_first_picture_is_sent(kind):
    source = source_of(encode(make_animation(kind)), media_type=f"image/{kind.lower()}")
    url = to_image_url(source, "data")
    assert url.startswith("data:image/png;base64,")
    assert [kind for _, kind, _ in losses_of(source)] == [LossKind.APPROXIMATED]
    assert to_image_url(source, "data") == url


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("abcde", "is not base64"),
        ("ab%_", "is not base64"),
        ("é" * 40, "is not base64"),
        ("AA==AAAA", "is not base64"),
        (PDF, "is not a PNG, JPEG, GIF or WebP image, but a PDF"),
        (PNG[:60], "is broken or cut off"),
    ],
)
def test_images_that_no_model_could_read(data, problem):
    with pytest.raises(RequestInvalid, match=f"^source.data: {problem}$") as caught:
        to_image_url(source_of(data), "data")
    assert caught.value.medium == "image"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "must not be empty"),
        ("%", "is not base64"),
        (PNG, "is not a PDF"),
        (PDF[:80], "is cut off"),
    ],
)
def test_pdfs_that_no_model_could_read(data, problem):
    with pytest.raises(RequestInvalid, match=f"^source.data: {problem}$") as caught:
        to_file_data(source_of(data, media_type="application/pdf"), "data")
    assert caught.value.medium == "document"


def test_files_of_other_types_are_not_looked_into():
    text = encode(b"a,b")
    assert to_file_data(source_of(f"data:text/csv;base64,{text}"), "data") == f"data:text/csv;base64,{text}"
    with pytest.raises(RequestInvalid, match="must not be empty"):
        to_file_data(source_of("data:text/csv;base64,"), "data")


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://a.example/b.png", "https://a.example/b.png"),
        (" HTTPS://a.example/b.png\n", "https://a.example/b.png"),
        ("http://a.example/b.png", None),
        ("https:a.example", None),
        ("https", None),
        ("", None),
    ],
)
def test_links(url, link):
    assert to_link(url) == link


def test_only_media_are_left_out():
    part = Fields({}, "messages[0].content[0]")
    refused = RequestInvalid("x", "is cut off", medium="document")
    assert leave_out(part, refused) == text_part("[document left out: the data is cut off]")
    with pytest.raises(RequestInvalid, match="required"):
        leave_out(part, RequestInvalid("x", "required"))


def test_the_block_that_became_a_part_is_found_again():
    blocks = [Fields({"number": number}, f"content[{number}]") for number in range(3)]

    def convert(found):
        if found[0].get("number") == 0:
            raise RequestInvalid("content[0]", "is broken", medium="image")
        return [{"type": "input_image", "number": each.get("number")} for each in found]

    assert locate(blocks, {"type": "input_image", "number": 2}, convert) == "content[2]"
    assert locate(blocks, {"type": "input_image", "number": 5}, convert) is None
