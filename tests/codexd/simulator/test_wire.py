"""Bodies and streams over real sockets: clients that hang up or read slowly, cuts, holds and keepalives."""

from __future__ import annotations

import httpx
import pytest
import trio
import trio.testing
from support.simulator_bench import BODY, open_bench, read_events

from codexd.jsontext import dumps
from codexd.simulator.app import Simulator
from codexd.simulator.wire import Outcome, redact_form, redact_query


async def wait_for_events(simulator: Simulator) -> None:
    """Until the first request has been sent something."""
    with trio.fail_after(5):
        while not (simulator.requests and simulator.requests[0].events_sent):
            await trio.lowlevel.checkpoint()


async def test_a_client_that_hangs_up_is_noticed() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}], "hold": "never", "after_events": 5}]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.post)
            await wait_for_events(bench.simulator)
            [record] = bench.simulator.requests
            assert record.outcome is Outcome.RUNNING
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await record.ended.wait()
        assert record.outcome is Outcome.CUT_BY_CLIENT


async def test_a_client_that_hangs_up_before_the_headers_is_noticed() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"delay_s": 600}]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.post)
            with trio.fail_after(5):
                while not (bench.simulator.requests and bench.simulator.requests[0].body):
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await bench.simulator.requests[0].ended.wait()
        assert bench.simulator.requests[0].outcome is Outcome.CUT_BY_CLIENT
        assert bench.simulator.requests[0].status is None


async def test_a_slow_reader_slows_the_answer_down() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"big_text": {"bytes": 200_000_000}}]})
        head = "".join(f"{name}: {value}\r\n" for name, value in bench.headers.items())
        body = dumps(BODY)
        request = f"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\n{head}content-length: {len(body)}\r\n\r\n"
        port = bench.http.base_url.port
        assert port is not None
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(request.encode() + body)
        await wait_for_events(bench.simulator)
        [record] = bench.simulator.requests
        sent = -1
        while record.bytes_sent != sent:
            sent = record.bytes_sent
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert sent < 50_000_000
        await stream.aclose()
        with trio.fail_after(5):
            await record.ended.wait()
        assert record.outcome is Outcome.CUT_BY_CLIENT


async def test_a_hold_is_released() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}], "hold": "gate"}]})
        results: list[httpx.Response] = []

        async def post() -> None:
            results.append(await bench.post())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            await wait_for_events(bench.simulator)
            bench.simulator.release("gate")
        assert "Hello" in results[0].text


async def test_a_cut_connection() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}], "cut": "connection"}]})
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.post()
        assert bench.simulator.requests[0].outcome is Outcome.CUT_BY_SCRIPT
        assert (await bench.post()).status_code == 200


async def test_an_end_without_a_terminal_event() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}], "cut": "eof"}]})
        events = read_events((await bench.post()).text)
        assert events[-1]["type"] == "response.output_item.done"
        assert bench.simulator.requests[0].outcome is Outcome.CUT_BY_SCRIPT


async def test_raw_bytes_and_chunks() -> None:
    async with open_bench(chunk_events=100) as bench:
        bench.simulator.load(
            {"replies": [{"raw": "data: {}\r\n\r\n: x\n\ndata: [DONE]\n\n"}, {"output": [{"text": "Hello"}]}]}
        )
        assert (await bench.post()).text == "data: {}\r\n\r\n: x\n\ndata: [DONE]\n\n"
        async with bench.http.stream(
            "POST", "/backend-api/codex/responses", json=BODY, headers=bench.headers
        ) as response:
            chunks = [chunk async for chunk in response.aiter_raw() if chunk]
        assert len(chunks) == 1


async def test_keepalives_fill_a_stall() -> None:
    async with open_bench(keepalive_interval_s=0.001) as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}], "stall_s": 0.01}]})
        text = (await bench.post()).text
        assert ": keepalive\n\n" in text
        assert {"type": "keepalive"} in read_events(text)


async def test_too_large_a_body() -> None:
    async with open_bench(max_body_bytes=100) as bench:
        response = await bench.post()
        assert response.status_code == 413
        assert "413 Request Entity Too Large" in response.text


def test_a_record_holds_no_secret() -> None:
    assert redact_query("code=c-1&state=s&x") == "code=<redacted>&state=s&x"
    assert redact_form({"code_verifier": "v", "client_id": "app"}) == {
        "code_verifier": "<redacted>",
        "client_id": "app",
    }
