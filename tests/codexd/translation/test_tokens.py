import base64
import json
import socket
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation import tokens
from codexd.translation.client_api import Target
from codexd.translation.messages.request import parse_count
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.tokens import UNKNOWN_IMAGE, count_body, count_text, count_with_margin

few = settings(deadline=None, max_examples=100)


def body(*items, **fields):
    return {"instructions": "", "input": list(items), **fields}


def user(*parts):
    return {"type": "message", "role": "user", "content": list(parts)}


def cost(*items, **fields):
    return count_body(body(*items, **fields)) - count_body(body())


def png(width, height, filling=0):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0" * filling
    return "data:image/png;base64," + base64.b64encode(data).decode()


def image(url):
    return user({"type": "input_image", "image_url": url})


def pdf(data):
    return user(
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64," + base64.b64encode(data).decode(),
        }
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("<|endoftext|>", 7),
        ("größe", 1),
        ("<|endoftext|><|fim_prefix|>", 12),
        ("I'Ve DON'T we'LL", 7),
        ("  \r\n\n\t \u3000\xa0x", 6),
        ("camelCaseHTTPServer2000", 6),
        ("1234567890.12", 6),
        ("日本語 한국어 العربية हिन्दी ไทย", 7),
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308", 15),
        ("e\u0301 \u0301a", 5),
        ("\x00\x7f\ufffd\U0010ffff", 7),
        ("def f(x):\n\treturn x  # ok\n\n\n", 10),
    ],
)
def test_text(text, count):
    assert count_text(text) == count


def test_a_long_text_without_blanks_takes_no_time():
    assert count_text("a" * 300_000) > 10_000
    assert count_text("\U0001f600" * 50_000) >= 50_000


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [
        (256, 256, 77),
        (1024, 1024, 1229),
        (1920, 1080, 2448),
        (3840, 2160, 9792),
        (1, 1, 2),
        (33, 32, 3),
        (20_000, 20_000, 12_000),
    ],
)
def test_an_image_costs_by_its_size(width, height, count):
    assert cost(image(png(width, height))) == tokens.PER_ITEM + count
    assert cost(image(png(width, height, 100_000))) == tokens.PER_ITEM + count


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/png;base64,",
        "data:image/png;base64,!",
        "data:image/png",
        "data:image/png;base64,é",
        png(5, 5)[:40],
        png(0, 7),
    ],
)
def test_an_image_of_unknown_size(url):
    assert cost(image(url)) == tokens.PER_ITEM + UNKNOWN_IMAGE


HEADS = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0WEBPVP8L",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"<svg",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"%PDF-",
        b"8BPS",
        b"\x01\xff\x02\x80",
        b"\x93NUMPY",
        b"P6\n",
        b"<?xml ",
        b"\0\0\0\x1cftypavif",
    ]
)


@settings(deadline=None, max_examples=300)
@given(HEADS, st.binary(max_size=60))
def test_any_bytes_are_some_image(head, tail):
    data = base64.b64encode(head + tail).decode()
    assert count_body(body(image(f"data:image/png;base64,{data}"))) > 0


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (b"%PDF-1.7 /Type /Page /Type/Page\n /Type /Pages", 2),
        (b"%PDF-1.7", 1),
        (b"", 1),
        (b"x" * 90_001, 4),
    ],
)
def test_a_pdf_costs_by_its_pages(data, pages):
    assert cost(pdf(data)) == tokens.PER_ITEM + pages * tokens.PER_PDF_PAGE


def test_a_file_by_url_is_one_page():
    assert (
        cost(user({"type": "input_file", "file_url": "https://example.com/a.pdf"}))
        == tokens.PER_ITEM + tokens.PER_PDF_PAGE
    )


def test_every_part_counts():
    call = {"type": "function_call", "call_id": "c", "name": "Bash", "arguments": '{"a":1}'}
    assert cost(call) == 2 * tokens.PER_ITEM + count_with_margin("Bash") + count_with_margin('{"a":1}')
    assert cost(
        {"type": "function_call_output", "call_id": "c", "output": "hello world"}
    ) == tokens.PER_ITEM + count_with_margin("hello world")
    assert cost(
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "hello world"}]}
    ) == tokens.PER_ITEM + count_with_margin("hello world")
    assert cost(user({"type": "input_text", "text": "hello world"})) == tokens.PER_ITEM + count_with_margin(
        "hello world"
    )
    assert cost(
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello world"}]}
    ) == tokens.PER_ITEM + count_with_margin("hello world")
    assert (
        cost({"type": "reasoning", "summary": [], "encrypted_content": "g" * 4000})
        == tokens.PER_ITEM + (3000 - 650) // 4
    )
    assert cost({"type": "reasoning", "summary": [], "encrypted_content": "g"}) == tokens.PER_ITEM
    assert cost(tools=[{"type": "function", "name": "f"}]) == tokens.PER_TOOL + count_with_margin(
        '{"type":"function","name":"f"}'
    )


@pytest.mark.parametrize("fields", [{"instructions": None}, {"tools": None}, {"tools": []}])
def test_absent_parts_cost_nothing(fields):
    assert count_body({**body(), **fields}) == count_body(body())


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"type": "future_item", "x": [1]},
        {"type": "message"},
        {"type": "message", "role": "user", "content": [3, {"x": 1}, {"type": "input_image"}, {"type": "input_file"}]},
        {"type": "function_call", "name": 3},
        {"type": "function_call_output", "output": None},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "reasoning", "encrypted_content": None},
        {"role": "user", "content": "no type"},
    ],
)
def test_an_item_of_any_form_costs_something(item):
    assert cost(item) > tokens.PER_ITEM


def test_base64_that_is_no_text_does_not_count_as_text():
    for item in (
        {"type": "compaction", "encrypted_content": "A" * 40_000},
        {"type": "image_generation_call", "result": "A" * 40_000},
    ):
        assert cost(item) < 8_000


def test_counting_works_offline(monkeypatch):

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(socket, "socket", refuse)
    tokens._tokenizer.cache_clear()
    assert count_text("hello world") == 2


@few
@given(st.text(), st.text())
def test_parts_add_up(first, second):
    assert cost(
        user({"type": "input_text", "text": first}, {"type": "input_text", "text": second})
    ) == tokens.PER_ITEM + count_with_margin(first) + count_with_margin(second)


def test_what_is_not_sent_is_not_counted():

    def count(**fields):
        body = {"model": "opus", "messages": [{"role": "user", "content": "hi"}], "system": "Be kind.", **fields}
        request = parse_count(json.dumps(body).encode())
        return count_body(request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), "")))

    tool = {"name": "Bash", "input_schema": {"type": "object"}}
    deferred = {"name": "WebFetch", "input_schema": {"type": "object"}, "defer_loading": True}
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cch=1;"}
    assert count(tools=[tool, deferred]) == count(tools=[tool]) > count()
    assert count(system=[billing, {"type": "text", "text": "Be kind."}]) == count()


@pytest.mark.parametrize("odd", [True, 7, {"a": ["b"]}])
@pytest.mark.parametrize("name", ["instructions", "tools"])
def test_what_has_an_odd_form_is_counted_as_json(name, odd):
    assert count_body({"input": [], name: odd}) > count_body({"input": []})


def test_custom_calls_and_refusals_are_counted():
    items = [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "word " * 100},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "word " * 100},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "word " * 100}]},
    ]
    assert all(count_body({"input": [item]}) > 100 for item in items)
