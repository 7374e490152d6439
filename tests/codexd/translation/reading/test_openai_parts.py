"""Content parts of OpenAI's APIs, under the names of either."""

import pytest
from support.bodies import PDF, PNG

from codexd.errors import RequestInvalid
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.openai_parts import CONVERTERS, SHAPES, to_assistant_part

URL = f"data:image/png;base64,{PNG}"
IMAGE = {"type": "input_image", "image_url": URL}
FILE = {"type": "input_file", "filename": "document.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}


def convert(part):
    return CONVERTERS[part["type"]](Fields(part, "part"))


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_texts(kind):
    assert convert({"type": kind, "text": "x"}) == [{"type": "input_text", "text": "x"}]
    assert convert({"type": kind, "text": ""}) == []
    assert to_assistant_part(Fields({"type": kind, "text": "x"}, "part")) == {"type": "output_text", "text": "x"}


def test_a_refusal():
    refusal = {"type": "refusal", "refusal": "no"}
    assert convert(refusal) == [{"type": "input_text", "text": "no"}]
    assert to_assistant_part(Fields(refusal, "part")) == refusal


@pytest.mark.parametrize("kind", ["image_url", "input_image"])
@pytest.mark.parametrize("value", [URL, {"url": URL}])
def test_images(kind, value):
    assert convert({"type": kind, "image_url": value}) == [IMAGE]
    assert convert({"type": kind, "image_url": value, "detail": "low"}) == [{**IMAGE, "detail": "low"}]
    with pytest.raises(RequestInvalid, match="must be one of auto"):
        convert({"type": kind, "image_url": value, "detail": "huge"})


@pytest.mark.parametrize("kind", ["file", "input_file"])
@pytest.mark.parametrize("data", [PDF, f"data:application/pdf;base64,{PDF}"])
def test_files(kind, data):
    assert convert({"type": kind, "file_data": data}) == [FILE]
    assert convert({"type": kind, "file": {"file_data": data}}) == [FILE]


def test_reasoning_is_left_out():
    for kind in ("reasoning", "reasoning_text", "summary_text"):
        assert convert({"type": kind, "text": "hm"}) == []


def test_every_type_has_a_fate():
    assert set(CONVERTERS) < set(SHAPES)
