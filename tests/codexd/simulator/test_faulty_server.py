"""The server under ``--faults``, over real sockets: what a client sees of each fault."""

import json
import zlib

import httpx
import pytest
import trio
from support.simulator_bench import BODY, open_bench, read_events

from codexd.simulator.damage import STRAY_MARK
from codexd.simulator.faults import KINDS, Kind, Stage
from codexd.simulator.wire import Outcome

WORDS = " ".join(f"word{number}" for number in range(40))
ALWAYS_ENDS_S = 10


def prompt(text):
    content = [{"type": "input_text", "text": text}]
    return {"input": [{"type": "message", "role": "user", "content": content}]}


def failing(kind):
    return prompt(f"[fault {kind.value}] Repeat after me: {WORDS}")


def text_of(answer):
    events = read_events(answer.text)
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


async def receive_raw(bench, body, *, first="POST /backend-api/codex/responses"):
    """All bytes of an answer, until the server closes or is silent for a moment; and whether it closed."""
    url = httpx.URL(str(bench.http.base_url))
    content = json.dumps({**BODY, **body}).encode()
    lines = [f"{first} HTTP/1.1", "Host: a", f"Content-Length: {len(content)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in bench.headers.items()]
    got = b""
    async with await trio.open_tcp_stream(url.host, url.port) as stream:
        await stream.send_all("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        while True:
            with trio.move_on_after(0.3) as scope:
                try:
                    data = await stream.receive_some()
                except trio.BrokenResourceError:
                    return got, "reset"
            if scope.cancelled_caught:
                return got, "open"
            if not data:
                return got, "closed"
            got += data


async def test_without_a_fault_it_serves_like_any_server():
    async with open_bench("asked") as bench:
        for _ in range(3):
            answer = await bench.post(**prompt(f"Repeat after me: {WORDS}"))
            assert (answer.status_code, text_of(answer)) == (200, WORDS)
        assert (await bench.refresh()).status_code == 200
        assert (await bench.http.get("/nowhere")).status_code == 404
        assert {request.outcome for request in bench.simulator.requests[:4]} == {Outcome.COMPLETED}


ENDINGS = {
    Kind.RESET_HEAD: "reset",
    Kind.RESET_BODY: "reset",
    Kind.STALLED_HEAD: "open",
    Kind.STALLED_BODY: "open",
    Kind.TRUNCATED_CHUNK: "closed",
    Kind.TRUNCATED_END: "closed",
    Kind.TRUNCATED_EVENT: "open",
    Kind.STRAY_ANSWER: "open",
    Kind.STRAY_BYTES: "open",
    Kind.STRAY_LENGTH: "open",
}


@pytest.mark.parametrize("kind", ENDINGS, ids=lambda kind: kind.value)
async def test_what_comes_over_the_socket(kind):
    async with open_bench("asked") as bench:
        got, ending = await receive_raw(bench, failing(kind))
        assert ending == ENDINGS[kind]
        is_whole = b"response.completed" in got
        assert is_whole == (kind in (Kind.TRUNCATED_END, Kind.STRAY_ANSWER, Kind.STRAY_BYTES, Kind.STRAY_LENGTH))
        assert (b"\r\n0\r\n\r\n" in got) == (kind in (Kind.TRUNCATED_EVENT, Kind.STRAY_ANSWER, Kind.STRAY_BYTES))
        assert (STRAY_MARK.encode() in got) == (kind in (Kind.STRAY_ANSWER, Kind.STRAY_BYTES))


async def test_a_length_that_is_too_short_leaves_bytes_over():
    async with open_bench("asked") as bench:
        got, _ = await receive_raw(bench, failing(Kind.STRAY_LENGTH))
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        assert 0 < length < len(body)


async def test_a_drip_loses_nothing():
    async with open_bench("asked") as bench:
        assert text_of(await bench.post(**failing(Kind.DRIPPED))) == WORDS


async def test_gzip_that_is_none():
    async with open_bench("asked") as bench:
        got, _ = await receive_raw(bench, failing(Kind.GZIP))
        assert b"content-encoding: gzip" in got
        assert b"response.completed" not in got
        packed = got.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2]
        with pytest.raises(zlib.error):
            zlib.decompressobj(wbits=31).decompress(packed)


@pytest.mark.parametrize(
    ("spec", "status"), [("status:529", 529), ("retry-after:2", 429), ("limit", 429), ("token:rejected", 401)]
)
async def test_refusals(spec, status):
    async with open_bench("asked") as bench:
        assert (await bench.post(**prompt(f"[fault {spec}] hello"))).status_code == status


async def test_only_the_last_message_of_the_user_asks():
    async with open_bench("asked") as bench:
        old, answered, new = (
            {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            for role, kind, text in (
                ("user", "input_text", "[fault status:500] hello"),
                ("assistant", "output_text", "hi"),
                ("user", "input_text", "again"),
            )
        )
        assert (await bench.post(input=[old, answered, new])).status_code == 200


async def test_comments_go_on_until_the_client_leaves():
    async with open_bench("asked") as bench:
        with trio.move_on_after(0.5) as scope:
            await receive_raw(bench, failing(Kind.EVENT_COMMENTS))
        assert scope.cancelled_caught
        with trio.fail_after(ALWAYS_ENDS_S):
            await bench.simulator.requests[0].ended.wait()


@pytest.mark.parametrize("kind", [Kind.STALLED_HEAD, Kind.STALLED_BODY], ids=lambda kind: kind.value)
async def test_a_stalled_answer_ends_once_the_client_has_left(kind):
    async with open_bench("asked") as bench:
        await receive_raw(bench, failing(kind))
        with trio.fail_after(ALWAYS_ENDS_S):
            await bench.simulator.requests[0].ended.wait()


async def test_rates_apply_to_every_request():
    async with open_bench("status:418=1/2") as bench:
        statuses = [(await bench.post()).status_code for _ in range(4)]
        assert statuses == [200, 418, 200, 418]
        assert (await bench.refresh()).status_code == 200


@pytest.mark.parametrize(
    ("spec", "code"),
    [("token:reused=1", "refresh_token_reused"), ("token:down:500=1", None), ("token:short:9=1", None)],
)
async def test_the_sign_in_server_fails(spec, code):
    async with open_bench(spec) as bench:
        answer = await bench.refresh()
        assert answer.status_code == {"token:down:500=1": 500, "token:short:9=1": 200}.get(spec, 401)
        assert code is None or code in answer.text


async def test_a_lost_answer_has_spent_the_refresh_token():
    async with open_bench("token:lost=1/1") as bench:
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.refresh()
        assert not bench.simulator.oauth.is_live(bench.tokens["refresh_token"])


async def test_connections_are_reset_or_refused_for_a_while():
    async with open_bench("reset:connect=1/2") as bench:
        assert (await bench.post()).status_code == 200
        async with httpx.AsyncClient(base_url=bench.http.base_url, trust_env=False) as other:
            with pytest.raises(httpx.TransportError):
                await other.get("/")
    async with open_bench("refused:50=1/2") as bench:
        assert (await bench.post()).status_code == 200
        async with httpx.AsyncClient(base_url=bench.http.base_url, trust_env=False) as other:
            with pytest.raises(httpx.TransportError):
                await other.get("/")
            with trio.fail_after(ALWAYS_ENDS_S):
                while True:
                    try:
                        assert (await other.get("/")).status_code == 404
                        break
                    except httpx.TransportError:
                        await trio.sleep(0.01)


@pytest.mark.parametrize(
    "data", [b"not http\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""]
)
async def test_what_is_not_http_ends_only_its_connection(data):
    async with open_bench("asked") as bench:
        url = httpx.URL(str(bench.http.base_url))
        async with await trio.open_tcp_stream(url.host, url.port) as stream:
            await stream.send_all(data)
            await stream.send_eof()
            with trio.fail_after(ALWAYS_ENDS_S):
                while await stream.receive_some():
                    pass
        assert (await bench.post()).status_code == 200


async def test_a_body_that_is_too_large():
    async with open_bench("asked", max_body_bytes=1_000) as bench:
        assert (await bench.post(**prompt("x" * 5_000))).status_code == 413


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if KINDS[kind].stage is Stage.REQUEST], ids=lambda kind: kind.value
)
async def test_every_answer_may_be_met(kind):
    """The list of models comes whole, with its length: faults of the body must work there, too."""
    async with open_bench(f"{kind.value}=1") as bench:
        with trio.fail_after(ALWAYS_ENDS_S):
            await receive_raw(bench, {}, first="GET /backend-api/codex/models?client_version=1.0.0")
        assert (await bench.refresh()).status_code == 200
