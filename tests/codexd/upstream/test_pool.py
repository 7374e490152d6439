"""A connection that has, or may have, anything left is never used again: no turn gets the bytes of another one."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from functools import partial

import httpx
import pytest
import trio

from codexd.errors import UpstreamError
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.http import fetch, open_client
from codexd.upstream.pool import QUIET_S
from codexd.upstream.proxies import Proxies

OK = b"HTTP/1.1 200 OK\r\n"
STRAY = OK + b"content-length: 5\r\n\r\nSTRAY"
STRAY_CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nSTRAY\r\n0\r\n\r\n"
LENGTH = re.compile(rb"content-length: (\d+)")


def answer(body: bytes, *, head: bytes = OK) -> bytes:
    return head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


class Peer:
    """Answers the first request with ``parts``, and each later one with the number of its connection."""

    def __init__(self, parts: tuple[bytes, ...], tls: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self.connections = 0
        self.requests: list[tuple[int, int]] = []
        """The connection and the length of the body of each request."""
        self.go_on = trio.Event()
        """The second part is sent then."""
        self.has_sent = trio.Event()
        self._parts = parts
        self._tls = tls

    async def serve(self, nursery: trio.Nursery) -> None:
        (listener,) = await nursery.start(partial(trio.serve_tcp, self._handle, 0, host="127.0.0.1"))
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{listener.socket.getsockname()[1]}/x"

    async def _handle(self, stream: trio.abc.Stream) -> None:
        if self._tls:
            stream = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
        self.connections += 1
        number = self.connections
        async with stream:
            try:
                while await self._read(stream, number):
                    await self._answer(stream, number)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    async def _read(self, stream: trio.abc.Stream, number: int) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := await stream.receive_some(1000)):
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(LENGTH.search(head.lower())[1]) if b"content-length" in head.lower() else 0
        while len(body) < length:
            if not (more := await stream.receive_some(1_000_000)):
                return False
            body += more
        self.requests.append((number, length))
        return True

    async def _answer(self, stream: trio.abc.Stream, number: int) -> None:
        if len(self.requests) > 1:
            await stream.send_all(answer(b"%d" % number))
            return
        await stream.send_all(self._parts[0])
        for part in self._parts[1:]:
            await self.go_on.wait()
            await stream.send_all(part)
        self.has_sent.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The file of a self-signed certificate for 127.0.0.1 and its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days 2"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", file.with_suffix(".crt")]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("when", ["never", "together", "in one record", "afterwards"])
async def test_nothing_may_be_left_inside_tls(nursery, mock_clock, certificate, when, version):
    """Bytes that the socket has given away may wait inside TLS, in a record of their own or not."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.maximum_version = version
    parts = {"never": (), "together": (STRAY,), "in one record": (), "afterwards": (STRAY,)}[when]
    peer = Peer((answer(b"first") + (STRAY if when == "in one record" else b""), *parts), tls)
    await peer.serve(nursery)
    if when == "together":
        peer.go_on.set()
    trusting = ssl.create_default_context(cafile=certificate)
    async with open_client(UpstreamSettings(), proxies=Proxies(), tls=trusting) as http:
        assert await ask(http, peer) == b"first"
        peer.go_on.set()
        await peer.has_sent.wait()
        mock_clock.jump(QUIET_S)
        assert await ask(http, peer) == (b"1" if when == "never" else b"2")


@pytest.fixture
async def http():
    async with open_client(UpstreamSettings(), proxies=Proxies(), tls=ssl.create_default_context()) as client:
        yield client


@pytest.fixture
async def start(nursery):
    async def start(*parts: bytes) -> Peer:
        peer = Peer(parts)
        await peer.serve(nursery)
        return peer

    return start


async def ask(http: httpx.AsyncClient, peer: Peer, content: bytes = b"{}") -> bytes | str:
    request = http.build_request("POST", peer.url, content=content)
    try:
        return (await fetch(http, request, timeout_s=9.0, max_bytes=1000, name="the backend")).body
    except UpstreamError as error:
        return str(error)


async def test_a_clean_connection_is_used_again(http, start, mock_clock):
    peer = await start(answer(b"first"))
    assert await ask(http, peer) == b"first"
    mock_clock.jump(QUIET_S)
    assert await ask(http, peer) == b"1"
    mock_clock.jump(QUIET_S)
    assert await ask(http, peer, b"x" * 300_000) == b"1"
    assert (peer.connections, peer.requests[-1]) == (1, (1, 300_000))


async def test_a_connection_rests_after_an_answer(http, start, mock_clock):
    peer = await start(answer(b"first"))
    assert await ask(http, peer) == b"first"
    assert await ask(http, peer) == b"2"
    mock_clock.jump(QUIET_S)
    assert await ask(http, peer) == b"1"


LEFTOVERS = {
    "a second answer": (answer(b"first"), STRAY),
    "a second answer in chunks": (answer(b"first"), STRAY_CHUNKED),
    "half a head": (answer(b"first"), OK + b"x-left: "),
    "one byte": (answer(b"first"), b"S"),
    "blank lines": (answer(b"first"), b"\r\n\r\n"),
    "an informational answer": (answer(b"first"), b"HTTP/1.1 103 Early Hints\r\nlink: STRAY\r\n\r\n"),
    "a content-length that is too short": (OK + b"content-length: 5\r\n\r\nfirst", STRAY),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", STRAY),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", STRAY),
    "a length and chunks": (answer(b"first", head=OK + b"content-length: 5\r\n"), STRAY),
    "trailers": (answer(b"first")[:-2] + b"a: b\r\n\r\n", STRAY),
}


@pytest.mark.parametrize("size", [2, 300_000])
@pytest.mark.parametrize("when", ["together", "afterwards", "in the middle of a pause", "at once"])
@pytest.mark.parametrize(("first", "stray"), LEFTOVERS.values(), ids=LEFTOVERS)
async def test_what_is_left_over_is_nobodys_answer(http, start, mock_clock, first, stray, when, size):
    peer = await start(first + stray) if when == "together" else await start(first, stray)
    await ask(http, peer)
    if when == "in the middle of a pause":
        mock_clock.jump(QUIET_S / 2)
    if when != "at once":
        peer.go_on.set()
        await peer.has_sent.wait()
        mock_clock.jump(QUIET_S)
    second = await ask(http, peer, b"x" * size)
    peer.go_on.set()
    await peer.has_sent.wait()
    mock_clock.jump(QUIET_S)
    third = await ask(http, peer, b"x" * size)
    assert all(number > 1 for number, _ in peer.requests[1:])
    assert {second, third} <= {b"2", b"3"}


@pytest.mark.parametrize(
    "first",
    [OK + b"content-length: 5\r\n\r\nfirst", answer(b"first", head=OK + b"content-length: 5\r\n")],
    ids=["a length", "a length and chunks"],
)
async def test_an_answer_without_an_own_end_is_the_last_of_its_connection(http, start, mock_clock, first):
    peer = await start(first)
    assert await ask(http, peer) == b"first"
    mock_clock.jump(QUIET_S)
    assert await ask(http, peer) == b"2"


async def test_what_arrives_while_a_request_is_written_is_nobodys_answer(http, start, mock_clock):
    """The request has not been read as a whole, so it goes out again on another connection."""
    peer = await start(answer(b"first"), STRAY)
    await ask(http, peer)
    mock_clock.jump(QUIET_S)

    class Body(httpx.AsyncByteStream):
        def __aiter__(self):
            self.left = [b"x" * 1000, b"x" * 1000]
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            if len(self.left) == 1:
                peer.go_on.set()
                await peer.has_sent.wait()
            return self.left.pop()

    request = httpx.Request("POST", peer.url, stream=Body(), headers={"host": "x", "content-length": "2000"})
    found = await fetch(http, request, timeout_s=9.0, max_bytes=1000, name="the backend")
    assert found.body == b"2"
    assert peer.requests == [(1, 2), (2, 2000)]


async def test_an_answer_that_was_left_in_the_middle_closes_its_connection(http, start, mock_clock):
    peer = await start(answer(b"first")[:-5], STRAY)
    request = http.build_request("POST", peer.url, content=b"{}")
    response = await http.send(request, stream=True)
    await response.aclose()
    mock_clock.jump(QUIET_S)
    assert await ask(http, peer) == b"2"


@pytest.mark.parametrize("when", ["never", "together", "afterwards"])
async def test_a_proxy_leaves_nothing_either(nursery, mock_clock, when):
    first = answer(b"first")
    peer = Peer({"never": (first,), "together": (first + STRAY,), "afterwards": (first, STRAY)}[when])
    await peer.serve(nursery)
    proxies = Proxies.of({"HTTP_PROXY": peer.url.removesuffix("/x")})
    peer.url = "http://backend.example/x"
    async with open_client(UpstreamSettings(), proxies=proxies, tls=ssl.create_default_context()) as http:
        assert await ask(http, peer) == b"first"
        peer.go_on.set()
        await peer.has_sent.wait()
        mock_clock.jump(QUIET_S)
        assert await ask(http, peer) == (b"1" if when == "never" else b"2")
