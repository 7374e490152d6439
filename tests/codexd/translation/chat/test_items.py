"""What a Chat client gets of each output item."""

import pytest

from codexd.translation.chat.items import CallItem, Citation, CustomCallItem, ImageItem, ReasoningItem, TextItem
from codexd.translation.reading.tool_names import ToolNames, shorten

LONG = "mcp__server__" + "x" * 80


def call(item_type=CallItem, names=()):
    return item_type(ToolNames(names))


def test_a_text_in_pieces_and_its_citations():
    item = TextItem()
    item.add_text(("text", 0), "a")
    assert item.take() == [(("text", 0), "a")]
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    part = {"type": "output_text", "text": "ab", "annotations": [cited, cited, {"type": "file_citation"}]}
    item.finish({"content": [part, {"type": "refusal", "refusal": "no"}]})
    assert item.take() == [(("text", 0), "b"), (("refusal", 1), "no")]
    assert list(item.citations) == [Citation(0, "https://a.example", "A", 0, 2)]
    item.add_text(("text", 0), "more")
    assert item.take() == []


@pytest.mark.parametrize(
    ("begun", "finished", "ciphertext"), [("early", "final", "final"), ("early", None, "early"), (None, None, "")]
)
def test_reasoning(begun, finished, ciphertext):
    item = ReasoningItem()
    item.begin({"encrypted_content": begun})
    item.add_text(("summary", 0), "a")
    item.add_text(("summary", 1), "b")
    assert item.ciphertext == ""
    item.finish({"id": "rs_1", "summary": [{"text": "a"}, {"text": "bc"}], "encrypted_content": finished})
    assert item.take() == ["a", "\n\nb", "c"]
    assert (item.id, item.ciphertext) == ("rs_1", ciphertext)


def test_a_call_waits_for_its_name():
    item = call(names=[LONG])
    item.begin({"call_id": "c"})
    item.add_text(("arguments", 0), '{"a"')
    assert item.take() == []
    item.finish({"call_id": "c", "name": shorten(LONG), "arguments": '{"a":1}'})
    assert item.take() == [
        {"index": 0, "id": "c", "type": "function", "function": {"name": LONG, "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ":1}"}},
    ]


@pytest.mark.parametrize(
    ("item_type", "key", "written"),
    [(CallItem, "arguments", [{"index": 0, "function": {"arguments": "{}"}}]), (CustomCallItem, "input", [])],
)
def test_a_call_without_arguments(item_type, key, written):
    item = call(item_type)
    item.finish({"call_id": "c", "name": "f", key: ""})
    assert item.take()[1:] == written


def test_an_image():
    urls = []
    for fields in ({"result": "AAAA", "output_format": "webp"}, {"result": "AAAA"}, {"result": None}):
        ImageItem(urls.append).finish(fields)
    assert urls == ["data:image/webp;base64,AAAA", "data:image/png;base64,AAAA"]
