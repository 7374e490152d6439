import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.media import PAPER, make_animation, make_image, make_png_header

from codexd.translation.reading.media import (
    NOT_AN_IMAGE,
    Finding,
    Findings,
    clean_base64,
    find_image,
    find_pdf,
    look_ahead,
)

KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def look(data):
    return find_image(base64.b64encode(data).decode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (64, 48)])
def test_a_good_image(kind, size):
    assert look(make_image(kind, size)) == Finding(KINDS[kind])
    assert look(make_image(kind, size) + b"more") == Finding(KINDS[kind])


@pytest.mark.parametrize(
    "options", [{"mode": "1"}, {"mode": "L"}, {"mode": "P"}, {"mode": "RGBA"}, {"mode": "I;16"}, {"dpi": (72, 72)}]
)
def test_every_mode_of_a_png(options):
    assert look(make_image("PNG", **options)) == Finding("image/png")


@pytest.mark.parametrize("options", [{"mode": "CMYK"}, {"mode": "L"}, {"progressive": True}])
def test_every_mode_of_a_jpeg(options):
    assert look(make_image("JPEG", (99, 99), **options)) == Finding("image/jpeg")


def test_a_jpeg_of_several_pictures_is_a_jpeg():
    assert look(make_animation("MPO")) == Finding("image/jpeg")


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_first_picture_of_an_animation_is_a_good_png(kind):
    found = look(make_animation(kind))
    assert find_image(found.frame) == Finding("image/png")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_an_image_that_was_cut_off(kind, part):
    whole = make_image(kind, (64, 48))
    assert look(whole[: int(len(whole) * part)]).problem == "is broken or cut off"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "must not be empty"),
        (make_image("BMP"), f"{NOT_AN_IMAGE}, but a BMP image"),
        (make_image("TIFF"), f"{NOT_AN_IMAGE}, but a TIFF image"),
        (make_image("ICO"), f"{NOT_AN_IMAGE}, but an icon"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, f"{NOT_AN_IMAGE}, but a HEIC image"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 20, f"{NOT_AN_IMAGE}, but an AVIF image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', f"{NOT_AN_IMAGE}, but an SVG image"),
        (b'<?xml version="1.0"?><svg/>', f"{NOT_AN_IMAGE}, but an SVG image"),
        (PAPER, f"{NOT_AN_IMAGE}, but a PDF"),
        (b"hello", NOT_AN_IMAGE),
        (b"RIFF\0\0\0\0WAVE", "is broken or cut off"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 16, "is broken or cut off"),
        (make_png_header(0, 0), "is broken or cut off"),
        (b"GIF89a" + b"\0" * 7 + b";", "is broken or cut off"),
        (make_png_header(30_000, 30_000), "has 30000 x 30000 pixels: image dimensions exceed 100 megapixels"),
        (make_png_header(100, 100), "is broken or cut off"),
    ],
)
def test_images_that_no_model_could_read(data, problem):
    assert look(data).problem == problem


def test_a_huge_image_is_not_decoded():
    assert look(make_png_header(6000, 6000)) == Finding("image/png")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
def test_any_damage_is_found_or_harmless(kind, data):
    damaged = bytearray(make_image(kind, (16, 12)))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)))):
        damaged[place] = byte
    found = look(bytes(damaged))
    assert bool(found.problem) != bool(found.media_type)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (PAPER, ""),
        (b"\n\n" + PAPER + b"\0" * 500, ""),
        (b"", "must not be empty"),
        (b"PK\3\4", "is not a PDF"),
        (b"%PDF-1.7\n" + b"\0" * 16, "is cut off"),
        (PAPER[:-7], "is cut off"),
    ],
)
def test_pdfs(data, problem):
    assert find_pdf(base64.b64encode(data).decode()).problem == problem


@given(st.binary())
def test_any_bytes_are_cleaned_to_their_own_base64(data):
    whole = base64.b64encode(data).decode()
    assert clean_base64(base64.encodebytes(data).decode()) == whole
    assert clean_base64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == whole


@given(st.text())
def test_whatever_is_clean_can_be_decoded(text):
    clean = clean_base64(text)
    assert clean is None or base64.b64encode(base64.b64decode(clean, validate=True)).decode()[:-4] == clean[:-4]


VALUES = st.recursive(
    st.text() | st.sampled_from(["data:image/png;base64,AAAA", "base64", '["image"]', '["image']),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["type", "data", "url", "image_url", "content", "x"]), inner)
    ),
)


@given(VALUES)
def test_looking_ahead_takes_any_json(value):
    look_ahead(value)


@pytest.mark.parametrize("wrap", [lambda parts: parts, json.dumps, lambda parts: f" {json.dumps(parts)}"])
def test_the_images_of_a_result_are_looked_at_ahead_also_in_its_json_text(wrap, monkeypatch):
    data = base64.b64encode(make_image("PNG", (7, 8 + len(wrap([]))))).decode()
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]
    look_ahead({"messages": [{"role": "tool", "content": wrap(parts)}]})
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("decoded again"))
    assert find_image(data) == Finding("image/png")


def test_what_was_found_is_remembered_within_bounds():
    findings = Findings(max_entries=3, max_chars=10)
    for number in range(5):
        findings.put(b"%d" % number, Finding("image/png"))
    assert [findings.get(b"%d" % number) is not None for number in range(5)] == [False, False, True, True, True]
    findings.put(b"large", Finding("image/gif", frame="A" * 11))
    assert findings.get(b"large") is None
