"""A request's head and body, with the messages of ASGI as a list."""

import gzip
import sys

import pytest

from codexd import bounds
from codexd.errors import RequestInvalid, RequestTooLarge
from codexd.translation.client_api import Client
from codexd.web.caller import Shape
from codexd.web.http import ClientLeftError, Request, read_body, send_json, wait_for_disconnect

if sys.version_info >= (3, 14):
    from compression.zstd import compress
else:
    from backports.zstd import compress


def make_request(**headers):
    scope = {
        "method": "POST",
        "path": "/v1/messages",
        "query_string": b"beta=true",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    return Request.of(scope, "req_1")


def receiving(*parts, then="http.disconnect"):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if then == "end" and messages:
        messages[-1]["more_body"] = False

    async def receive():
        return messages.pop(0) if messages else {"type": then}

    return receive


def test_the_head_has_lower_case_names_and_says_who_calls():
    request = make_request(User_Agent="claude-cli/2.1.330")
    assert request.headers == {"user-agent": "claude-cli/2.1.330"}
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", "beta=true")
    assert (request.caller.client, request.caller.shape) == (Client.CLAUDE_CODE, Shape.ANTHROPIC)


async def test_a_body_in_pieces():
    assert await read_body(make_request(), receiving(b"ab", b"", b"c", then="end")) == b"abc"


async def test_a_client_that_leaves_before_its_body_is_whole():
    with pytest.raises(ClientLeftError):
        await read_body(make_request(), receiving(b"ab"))
    await wait_for_disconnect(receiving(b"ab"))


async def test_a_compressed_body():
    request = make_request(content_encoding="gzip")
    assert await read_body(request, receiving(gzip.compress(b"{}"), then="end")) == b"{}"


async def test_encodings_on_several_lines_are_one_list():
    names = (b"Content-Encoding", b"gzip"), (b"content-encoding", b"zstd")
    request = Request.of({"method": "POST", "path": "/", "query_string": b"", "headers": names}, "req_1")
    assert request.headers == {"content-encoding": "gzip, zstd"}
    assert await read_body(request, receiving(compress(gzip.compress(b"{}")), then="end")) == b"{}"


async def test_a_compression_that_is_not_supported():
    with pytest.raises(RequestInvalid, match="'br' is not supported"):
        await read_body(make_request(content_encoding="br"), receiving(b""))  # nothing of it is read


async def test_a_body_that_is_too_large_however_it_comes():
    declared = make_request(content_length=str(bounds.BODY_BYTES + 1))
    with pytest.raises(RequestTooLarge):
        await read_body(declared, receiving())  # nothing of it is read
    half = b" " * (bounds.BODY_BYTES // 2 + 1)
    with pytest.raises(RequestTooLarge):
        await read_body(make_request(), receiving(half, half))
    bomb = gzip.compress(b" " * (bounds.BODY_BYTES + 1))
    with pytest.raises(RequestTooLarge):
        await read_body(make_request(content_encoding="gzip"), receiving(bomb, then="end"))


async def test_a_json_answer():
    sent = []

    async def send(message):
        sent.append(message)

    await send_json(send, 429, {"error": 1}, {"retry-after": "3"})
    start, body = sent
    assert (start["status"], body["body"]) == (429, b'{"error":1}')
    assert dict(start["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": b"11",
        b"retry-after": b"3",
    }
