"""The simulated backend over real sockets."""

from __future__ import annotations

import httpx
import pytest
from support.simulator_bench import BODY, open_bench, read_events

from codexd.simulator.credentials import CLIENT_ID
from codexd.simulator.wire import Outcome


async def test_a_scripted_answer_and_its_record() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}]}]})
        response = await bench.post()
        events = read_events(response.text)
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-codex-primary-window-minutes"] == "300"
        assert events[0]["type"] == "codex.rate_limits"
        assert events[-1]["type"] == "response.completed"
        [record] = bench.simulator.requests
        assert (record.path, record.status, record.outcome) == (
            "/backend-api/codex/responses",
            200,
            Outcome.COMPLETED,
        )
        assert record.body == BODY
        assert record.headers["authorization"] == "simulated@example.com"
        assert bench.tokens["access_token"] not in repr(record)
        assert record.events_sent == len(events)


async def test_the_agent_answers_without_a_script() -> None:
    async with open_bench() as bench:
        done = [event for event in read_events((await bench.post()).text) if event["type"].endswith("text.done")]
        assert "simulated backend" in done[0]["text"]


async def test_a_bad_body_is_refused_and_takes_no_reply() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"text": "Hello"}]}]})
        response = await bench.post(temperature=1)
        assert (response.status_code, response.json()) == (400, {"detail": "Unsupported parameter: temperature"})
        assert bench.simulator.requests[0].outcome is Outcome.REFUSED
        assert "Hello" in (await bench.post()).text


async def test_tokens_are_checked_before_the_body() -> None:
    async with open_bench() as bench:
        bench.simulator.oauth.expire_access("simulated@example.com")
        response = await bench.post(temperature=1)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "token_expired")


async def test_replayed_reasoning_is_verified() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": [{"reasoning": {}}]}], "then": "repeat-last"})
        events = read_events((await bench.post()).text)
        item = next(event["item"] for event in events if event["type"] == "response.output_item.done")
        assert (await bench.post(input=[item, *BODY["input"]])).status_code == 200
        bench.tokens = bench.simulator.sign_in("other@example.com")["tokens"]
        response = await bench.post(input=[item, *BODY["input"]])
        assert response.json()["error"]["code"] == "invalid_encrypted_content"


async def test_scripted_http_errors() -> None:
    async with open_bench() as bench:
        bench.simulator.load(
            {
                "replies": [
                    {
                        "error": {
                            "status": 503,
                            "body": {"error": {"code": "slow_down"}},
                            "headers": {"retry-after": "7"},
                        }
                    },
                    {"error": {"status": 403, "body": "<html>Just a moment</html>"}},
                    {"error": {"status": 404}},
                    {"error": {"status": 200, "body": {"error": {"code": "server_error"}}}},
                ]
            }
        )
        busy, blocked, empty, odd = [await bench.post() for _ in range(4)]
        assert (busy.status_code, busy.headers["retry-after"], busy.json()["error"]["code"]) == (503, "7", "slow_down")
        assert (blocked.headers["content-type"], blocked.text) == ("text/html", "<html>Just a moment</html>")
        assert (empty.status_code, empty.content) == (404, b"")
        assert (odd.status_code, odd.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("in_stream", [False, True])
async def test_a_prompt_over_the_window(in_stream: bool) -> None:
    async with open_bench(context_window_tokens=5, overflow_in_stream=in_stream) as bench:
        response = await bench.post()
        if in_stream:
            assert response.status_code == 200
            assert read_events(response.text)[-1]["response"]["error"]["code"] == "context_length_exceeded"
        else:
            assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_cached_tokens_follow_the_cache_key() -> None:
    async with open_bench() as bench:
        bench.simulator.load({"replies": [{"output": []}], "then": "repeat-last"})
        usages = []
        for _ in range(2):
            events = read_events((await bench.post(instructions="i" * 5_000, prompt_cache_key="k")).text)
            usages.append(events[-1]["response"]["usage"])
        cached = [usage["input_tokens_details"]["cached_tokens"] for usage in usages]
        assert cached[0] == 0
        assert 0 < cached[1] <= usages[1]["input_tokens"]
        assert cached[1] % 128 == 0


async def test_refreshing_over_http() -> None:
    async with open_bench() as bench:
        spent = bench.tokens["refresh_token"]
        response = await bench.refresh()
        assert response.status_code == 200
        form = {
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": response.json()["refresh_token"],
        }
        assert (await bench.http.post("/oauth/token", data=form)).status_code == 200
        assert (await bench.refresh()).json()["error"]["code"] == "refresh_token_reused"
        assert all(spent not in repr(record) for record in bench.simulator.requests)
        assert bench.simulator.requests[0].body == {
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": "<redacted>",
        }


async def test_scripted_refreshes() -> None:
    async with open_bench() as bench:
        bench.simulator.load_token_replies(
            {"code": "refresh_token_expired"},
            {"error": {"status": 500, "body": {"error": "temporary-failure"}}},
            {"drop": "before"},
            {"omit": ["id_token"]},
        )
        assert (await bench.refresh()).json()["error"]["code"] == "refresh_token_expired"
        assert (await bench.refresh()).json() == {"error": "temporary-failure"}
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.refresh()
        reply = await bench.refresh()
        assert reply.status_code == 200
        assert "id_token" not in reply.json()


async def test_a_connection_lost_after_rotating_burns_the_token() -> None:
    async with open_bench() as bench:
        bench.simulator.load_token_replies({"drop": "after"})
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.refresh()
        assert (await bench.refresh()).json()["error"]["code"] == "refresh_token_reused"


async def test_revoking() -> None:
    async with open_bench() as bench:
        form = {"token": bench.tokens["refresh_token"], "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        assert (await bench.http.post("/oauth/revoke", json=form)).status_code == 200
        assert (await bench.post()).json()["error"]["code"] == "token_invalidated"


async def test_other_routes() -> None:
    async with open_bench() as bench:
        assert (await bench.http.get("/nowhere")).status_code == 404
        assert (await bench.http.get("/backend-api/codex/responses")).status_code == 405
        response = await bench.http.post("/backend-api/codex/responses", content=b"{", headers=bench.headers)
        assert (response.status_code, response.json()) == (400, {"detail": "Bad Request"})


async def test_old_requests_are_forgotten() -> None:
    async with open_bench(kept_requests=2) as bench:
        for path in ("/1", "/2", "/3"):
            await bench.http.get(path)
        assert [record.path for record in bench.simulator.requests] == ["/2", "/3"]
