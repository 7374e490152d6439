"""Bytes of the backend's answers to events; ``test_turn`` and the web tests have the rest."""

import gzip
import ssl
from contextlib import suppress
from functools import partial

import pytest
import trio

from codexd.accounts.model import Account
from codexd.errors import UpstreamError
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.codex import CodexBackend, ResponsesReader
from codexd.upstream.http import open_client
from codexd.upstream.proxies import Proxies

STREAM = (
    b'event: response.created\ndata: {"type":"response.created"}\n\n'
    b": a comment\n\n"
    b'data: {"type":"response.completed","response":{"id":"r"}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_in_pieces_of_any_size(size):
    reader = ResponsesReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    events = [event for piece in pieces for event in reader.receive_data(piece)] + reader.receive_eof()
    assert [event["type"] for event in events] == ["response.created", "response.completed"]


# -- answers that are none ----------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
SSE = b"content-type: text/event-stream\r\n"
CHUNKED = OK + SSE + b"transfer-encoding: chunked\r\n\r\n"
CLOSE = b"connection: close\r\n\r\n"
END = b'data: {"type":"response.completed"}\n\n'
NOT_HTTP = "the connection was closed, or the answer is not HTTP"

BAD_ANSWERS = {
    "a web page": (OK + b"content-type: text/html\r\n" + CLOSE + b"<html>PROMPT", "a web page instead of a stream"),
    "gzip": (OK + SSE + b"content-encoding: gzip\r\n" + CLOSE + gzip.compress(END), "compressed data instead of"),
    "corrupt JSON": (OK + b"content-type: application/json\r\n" + CLOSE + b"PROMPT", "HTTP 200 without a readable"),
    "a negative length": (OK + SSE + b"content-length: -5\r\n\r\n" + END, NOT_HTTP),
    "two lengths": (OK + SSE + b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + END, NOT_HTTP),
    "a length that is a word": (OK + SSE + b"content-length: PROMPT\r\n\r\n" + END, NOT_HTTP),
    "an unknown coding": (OK + SSE + b"transfer-encoding: gzip\r\n\r\n" + END, NOT_HTTP),
    "a redirect": (b"HTTP/1.1 301 Moved\r\nlocation: http://PROMPT\r\ncontent-length: 0\r\n\r\n", "HTTP 301"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: PROMPT\r\n\r\n", NOT_HTTP),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nPROMPT", NOT_HTTP),
    "SSH": (b"SSH-2.0-PROMPT\r\n\r\n", NOT_HTTP),
    "no status": (b"HTTP/1.1 PROMPT\r\n\r\n", NOT_HTTP),
    "a header without a colon": (OK + b"PROMPT\r\n\r\n", NOT_HTTP),
    "an endless header": (OK + b"x: " + b"y" * 2_000_000, NOT_HTTP),
    "endless headers": (OK + b"x: y\r\n" * 200_000, NOT_HTTP),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\nPROMPT", "HTTP 204"),
    "a bad chunk size": (CHUNKED + b"PROMPT\r\n", "broke during the answer: it was closed"),
    "a giant chunk size": (CHUNKED + b"f" * 40 + b"\r\n", "broke during the answer: it was closed"),
    "a chunk without its end": (CHUNKED + b"5\r\nabcdePROMPT", "broke during the answer: it was closed"),
    "an endless chunk extension": (CHUNKED + b"5;" + b"y" * 2_000_000, "broke during the answer: it was closed"),
    "an endless trailer": (CHUNKED + b"0\r\nx: " + b"y" * 2_000_000, "broke during the answer: it was closed"),
    "no end": (OK + SSE + CLOSE + b"data: {}\n\n", "closed the stream before the end of the answer"),
    "no JSON": (OK + SSE + CLOSE + b"data: PROMPT\n\n", "an event that is not JSON"),
}
GOOD_ANSWERS = {
    "no reason": b"HTTP/1.1 200\r\n" + SSE + CLOSE + END,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + SSE + b"\r\n" + END,
    "no content type": OK + CLOSE + END,
    "a chunk of 16 digits": CHUNKED + b"%016x\r\n%b\r\n0\r\n\r\n" % (len(END), END),
    "no blank line at the end": OK + SSE + CLOSE + END.strip(),
}


ACCOUNT = Account("0123456789ab", "acct", "user", "ann@example.com", "plus", 0.0)


class Progress:
    def note_connected(self):
        pass

    def note_sent(self):
        pass

    def note_headers(self, status, headers):
        pass


@pytest.fixture
async def respond(nursery):
    """Reads the whole answer of a server that sends ``raw``."""

    async def respond(raw):
        async def handle(stream):
            async with stream:
                await stream.receive_some(65536)
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(raw)
                    await stream.send_eof()
                    await stream.receive_some(1)

        (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        settings = UpstreamSettings(backend_url=f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        async with open_client(settings, proxies=Proxies(), tls=ssl.create_default_context()) as http:
            backend = CodexBackend(http, lambda: settings, lambda: 0.0)
            more = {"headers": {}, "on_headers": lambda _: None, "progress": Progress()}
            async with backend.respond({}, account=ACCOUNT, token="t", **more) as source:
                with source.watched():
                    while not source.terminated:
                        await source.receive_events()

    return respond


@pytest.mark.parametrize(("raw", "words"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_an_answer_that_is_none_is_said_without_its_content(respond, caplog, raw, words):
    caplog.set_level("DEBUG", "codexd")
    with pytest.raises(UpstreamError) as caught:
        await respond(raw)
    assert words in str(caught.value)
    shown = [record.getMessage() for record in caplog.records if record.name.startswith("codexd")]
    assert "PROMPT" not in str(caught.value) + str(shown)


@pytest.mark.parametrize("raw", GOOD_ANSWERS.values(), ids=GOOD_ANSWERS)
async def test_an_unusual_answer_is_one(respond, raw):
    await respond(raw)
