"""POST /v1/messages against the strict simulated backend, over real sockets."""

from __future__ import annotations

import gzip
import json
import zlib
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio
from support.harness import HELLO, hang_up, post, read_events, start_daemon, start_request, text_of
from support.media import PAPER, make_image

from codexd import bounds
from codexd.simulator.options import Options
from codexd.simulator.wire import Outcome
from codexd.translation.reading.tool_names import shorten
from codexd.web.exchange import Timing

STREAMED = {**HELLO, "max_tokens": 1_000_000_000, "stream": True}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=10.0, ping_after_s=0.1))


@pytest.fixture
async def running_hastily(nursery, tmp_path):
    """The status line waits for a moment only, so that pings can be seen before the first event."""
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=0.2, ping_after_s=0.1))


async def test_an_answer_is_one_message(running):
    running.load({"output": [{"text": "Hello there."}]})
    response = await post(running, HELLO)
    message = response.json()
    assert response.status_code == 200
    assert message["content"] == [{"type": "text", "text": "Hello there."}]
    assert (message["model"], message["stop_reason"]) == ("claude-sonnet-5-5", "end_turn")
    assert response.headers["request-id"].startswith("req_")


async def test_a_streamed_answer_follows_the_grammar(running):
    running.load({"output": [{"text": "Hello there."}]})
    response = await post(running, STREAMED)
    events = read_events(response.text)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    assert [event["type"] for event in events][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert text_of(events) == "Hello there."
    assert "[DONE]" not in response.text


async def test_interleaved_calls_come_one_after_the_other(running):
    calls = [{"call": {"name": name, "arguments": {"command": name * 30}}} for name in ("first", "second")]
    running.load({"output": calls, "interleave": True})
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("first", "second")]
    events = read_events((await post(running, {**STREAMED, "tools": tools})).text)
    blocks: dict[int, str] = {}
    open_index = None
    for event in events:
        if event["type"] == "content_block_start":
            assert open_index is None
            open_index = event["index"]
            blocks[open_index] = ""
        elif event["type"] == "content_block_delta":
            blocks[event["index"]] += event["delta"]["partial_json"]
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_index
            open_index = None
    assert [json.loads(text) for text in blocks.values()] == [{"command": "first" * 30}, {"command": "second" * 30}]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_reasoning_makes_the_round_trip(running):
    running.load(
        {"output": [{"reasoning": {"summary": ["**Plan**"]}}, {"call": {"name": "Bash", "call_id": "call_1"}}]}
    )
    asked = {**HELLO, "thinking": {"type": "adaptive"}, "tools": [{"name": "Bash", "input_schema": {"type": "object"}}]}
    message = (await post(running, asked)).json()
    assert message["content"][0]["thinking"] == "**Plan**"
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}]}
    turns = [*HELLO["messages"], {"role": "assistant", "content": message["content"]}, result]
    assert (await post(running, {**asked, "messages": turns})).status_code == 200
    items = running.asked[1].body["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "function_call", "function_call_output"]
    assert items[1]["encrypted_content"].startswith("gAAAA")


async def test_stale_reasoning_is_left_out_and_sent_again(running):
    running.load(
        {"output": [{"reasoning": {"encrypted": "gAAAAforeign"}}, {"text": "one"}]}, {"output": [{"text": "two"}]}
    )
    asked = {**HELLO, "thinking": {"type": "adaptive", "display": "omitted"}}
    message = (await post(running, asked)).json()
    turns = [
        *HELLO["messages"],
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "go"},
    ]
    answer = await post(running, {**asked, "messages": turns})
    assert answer.json()["content"][-1]["text"] == "two"
    assert [request.status for request in running.asked] == [200, 400, 200]
    assert all(item["type"] != "reasoning" for item in running.asked[2].body["input"])


async def test_reasoning_that_turns_stale_inside_the_stream_is_left_out_too(running):
    stale = {"code": "invalid_encrypted_content", "message": "could not be verified"}
    running.load({"failed": stale}, {"output": [{"text": "fine"}]})
    assert (await post(running, HELLO)).json()["content"][0]["text"] == "fine"
    assert len(running.asked) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe{", "the body is not JSON"),
        (b"[1]", "the body must be a JSON object"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "nested more than 200 levels deep"),
        pytest.param(
            {"model": "opus", "messages": [{"role": "user", "content": "x"}]},
            "max_tokens: required",
            id="no-max-tokens",
        ),
        ({**HELLO, "model": None}, "model: required"),
        ({**HELLO, "messages": []}, "messages: at least one message is required"),
        (
            {**HELLO, "messages": [{"role": "king", "content": "x"}]},
            "messages[0].role: must be user, assistant or system",
        ),
        (
            {**HELLO, "messages": [*HELLO["messages"] * 3, {"role": "user", "content": [{"type": "text"}]}]},
            "messages[3].content[0].text: required",
        ),
        ({**HELLO, "tools": [{"name": 3.5, "input_schema": 1}, {}]}, "tools[1].name: required"),
        ({**HELLO, "stream": "yes"}, "stream: must be true or false"),
    ],
)
async def test_bad_input_gets_a_400_that_names_the_field(running, body, message):
    response = await post(running, body)
    error = response.json()
    assert response.status_code == 400
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert message in error["error"]["message"]
    assert error["request_id"] == response.headers["request-id"]
    assert running.asked == []


async def test_a_large_body_is_refused_before_it_is_read(running):
    host, port = running.address.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    head = f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {bounds.BODY_BYTES + 1}\r\n\r\n"
    await stream.send_all(head.encode())
    answer = await stream.receive_some(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    await stream.aclose()


async def test_a_large_chunked_body_is_refused(running):
    host, port = running.address.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n%b\r\n" % (1_000_000, b" " * 1_000_000)

    async def send_chunks():
        with suppress(trio.BrokenResourceError):  # the answer may come, and the connection close, in mid-chunk
            for _ in range(bounds.BODY_BYTES // 1_000_000 + 1):
                await stream.send_all(chunk)

    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(send_chunks)
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 413")
        nursery.cancel_scope.cancel()


USAGE_LIMIT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}


@pytest.mark.parametrize(
    ("reply", "status", "kind", "headers"),
    [
        (
            {"error": {"status": 429, "body": {"error": USAGE_LIMIT}}},
            429,
            "rate_limit_error",
            {"x-should-retry": "false", "retry-after": "3600"},
        ),
        (
            {
                "error": {
                    "status": 429,
                    "body": {"error": {"code": "rate_limit_exceeded", "message": "Please try again in 11.054s."}},
                }
            },
            429,
            "rate_limit_error",
            {"retry-after": "12"},
        ),
        ({"failed": {"code": "server_is_overloaded", "message": "busy"}, "as": "both"}, 529, "overloaded_error", {}),
        ({"failed": {"code": "server_error", "message": "oops"}}, 502, "api_error", {}),
        ({"error": {"status": 502, "body": "<html>Bad gateway</html>"}}, 502, "api_error", {}),
        ({"error": {"status": 402, "body": {"detail": {"code": "deactivated_workspace"}}}}, 402, "billing_error", {}),
        (
            {
                "error": {
                    "status": 200,
                    "body": {"error": {"code": "server_error", "message": "x"}},
                    "headers": {"content-type": "application/json"},
                }
            },
            502,
            "api_error",
            {},
        ),
        ({"cut": "eof", "after_events": 2}, 502, "api_error", {}),
    ],
    ids=[
        "usage-limit",
        "rate-limit",
        "overloaded",
        "server-error",
        "html",
        "deactivated",
        "json-in-a-200",
        "cut-before-content",
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_before_the_first_content_are_http_errors(running, reply, status, kind, headers, stream):
    running.load(reply)
    response = await post(running, {**HELLO, "stream": stream})
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind
    assert "<html>" not in response.text
    for name, value in headers.items():
        assert response.headers[name] == value


async def test_a_failure_after_content_ends_the_stream_with_one_error_event(running):
    running.load(
        {
            "output": [{"text": "begun"}],
            "failed": {"code": "server_error", "message": "oops"},
            "as": "both",
            "after_items": 1,
        }
    )
    response = await post(running, STREAMED)
    events = read_events(response.text)
    assert response.status_code == 200
    assert text_of(events) == "begun"
    assert [event["type"] for event in events].count("error") == 1
    assert events[-1]["type"] == "error"
    assert events[-1]["error"] == {"type": "api_error", "message": "oops"}


@pytest.mark.parametrize("in_stream", [True, False])
async def test_context_overflow_is_said_in_the_words_that_make_claude_code_compact(nursery, tmp_path, in_stream):
    running = await start_daemon(
        nursery, tmp_path, options=Options(context_window_tokens=500, overflow_in_stream=in_stream)
    )
    long = {**STREAMED, "messages": [{"role": "user", "content": "word " * 5000}]}
    response = await post(running, long)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "prompt is too long: 272001 tokens > 272000 maximum"


async def ask_at_once(running, times):
    """The statuses of so many requests that run side by side."""
    statuses = []

    async def ask():
        statuses.append((await post(running, HELLO)).status_code)

    async with trio.open_nursery() as many:
        for _ in range(times):
            many.start_soon(ask)
    return statuses


async def test_an_expired_token_is_refreshed_once_for_many_requests(running):
    await running.let_token_expire()
    assert await ask_at_once(running, 20) == [200] * 20
    assert running.refreshes == 1


async def test_a_token_that_dies_early_is_refreshed_once_for_many_requests(running):
    running.simulator.oauth.expire_access("simulated@example.com")
    assert await ask_at_once(running, 20) == [200] * 20
    assert running.refreshes == 1


async def test_a_token_that_the_backend_rejects_is_refreshed_and_the_request_repeated(running):
    rejected = {"error": {"code": "token_expired", "message": "expired"}}
    running.load({"error": {"status": 401, "body": rejected}}, {"output": [{"text": "fine"}]})
    response = await post(running, HELLO)
    assert response.json()["content"][0]["text"] == "fine"
    assert running.refreshes == 1


async def test_a_login_that_stays_refused_says_what_to_do(running):
    rejected = {"error": {"code": "token_invalidated", "message": "invalidated"}}
    running.load({"error": {"status": 401, "body": rejected}, "times": 2})
    response = await post(running, HELLO)
    assert (response.status_code, response.headers["x-should-retry"]) == (401, "false")
    assert "codexctl accounts add" in response.json()["error"]["message"]


async def test_a_refused_model_makes_way_for_the_next_in_the_list(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(refused_models=frozenset({"gpt-6-luna"})))
    asked = {**HELLO, "model": "claude-haiku-5-5"}
    assert (await post(running, asked)).status_code == 200
    assert (await post(running, asked)).status_code == 200
    assert [request.body["model"] for request in running.asked] == ["gpt-6-luna", "gpt-5.6-luna", "gpt-5.6-luna"]


async def test_a_model_without_alternatives_is_a_404(running):
    response = await post(running, {**HELLO, "model": "gpt-5"})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")


async def test_silence_is_filled_with_pings_before_and_after_the_first_content(running_hastily):
    running_hastily.load({"hold": "thinking", "output": [{"text": "at last"}]})
    seen = b""
    async with httpx.AsyncClient(base_url=running_hastily.address, trust_env=False) as client:
        async with client.stream("POST", "/v1/messages", json=STREAMED) as response:
            async for data in response.aiter_raw():
                seen += data
                if seen.count(b"event: ping") == 2:
                    running_hastily.simulator.release("thinking")
    events = read_events(seen.decode())
    assert [event["type"] for event in events[:2]] == ["ping", "ping"]
    assert text_of(events) == "at last"


@pytest.mark.parametrize("after_items", [0, 1])
async def test_a_backend_that_falls_silent_is_given_up_with_the_setting_named(nursery, tmp_path, after_items):
    environ = {"CODEXD_UPSTREAM_IDLE_TIMEOUT": "0.3"}
    running = await start_daemon(nursery, tmp_path, environ=environ)
    running.load({"output": [{"text": "begun"}], "hold": "for ever", "after_items": after_items})
    response = await post(running, STREAMED)
    error = read_events(response.text)[-1] if after_items else response.json()
    assert response.status_code == (200 if after_items else 504)
    assert error["error"]["type"] == "timeout_error"
    assert "upstream.idle_timeout" in error["error"]["message"]


async def test_a_client_that_pauses_is_no_silence_of_the_backend(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_UPSTREAM_IDLE_TIMEOUT": "0.2"})
    running.load({"output": [{"big_text": {"bytes": 20_000_000, "chunk_bytes": 65536}}]})
    connection = await start_request(running, STREAMED, receive_buffer=65536)
    await until_upstream_stands_still(running)
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        tail = (tail + await connection.receive_some(1 << 20))[-100:]
    assert b"message_stop" in tail
    await connection.aclose()


async def test_an_error_after_the_status_line_went_out_is_an_event(running_hastily):
    running_hastily.load({"hold": "thinking", "failed": {"code": "server_is_overloaded", "message": "busy"}})
    seen = b""
    async with httpx.AsyncClient(base_url=running_hastily.address, trust_env=False) as client:
        async with client.stream("POST", "/v1/messages", json=STREAMED) as response:
            async for data in response.aiter_raw():
                seen += data
                running_hastily.simulator.release("thinking")
    assert read_events(seen.decode())[-1]["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_ends_the_upstream_request(running, stream):
    """Seen in the backend; a second is the promise, and the test would hang without it."""
    running.load({"output": [{"text": "x" * 100}], "hold": "for ever", "after_items": 0 if not stream else 1})
    assert await hang_up(running, {**HELLO, "stream": stream}) is Outcome.CUT_BY_CLIENT


async def test_a_client_that_stopped_reading_and_leaves_ends_the_upstream_request(running):
    running.load({"output": [{"big_text": {"bytes": 50_000_000}}]})
    connection = await start_request(running, STREAMED, receive_buffer=65536)
    await until_upstream_stands_still(running)
    await connection.aclose()
    with trio.fail_after(1):
        await running.asked[0].ended.wait()
    assert running.asked[0].outcome is Outcome.CUT_BY_CLIENT


async def test_a_slow_reader_holds_upstream_back_and_memory_stays_flat(running):
    size = 200_000_000
    running.load({"output": [{"big_text": {"bytes": size, "chunk_bytes": 65536}}]})
    connection = await start_request(running, STREAMED, receive_buffer=65536)
    before = resident_bytes()
    sent = await until_upstream_stands_still(running)
    assert 0 < sent < 20_000_000
    received, most, tail = 0, 0, b""
    while not tail.endswith(b"0\r\n\r\n"):
        data = await connection.receive_some(1 << 20)
        received += len(data)
        tail = (tail + data)[-5:]
        most = max(most, resident_bytes())
    assert received > size
    assert most - before < 100_000_000
    await connection.aclose()


async def until_upstream_stands_still(running):
    sent = -1
    while not running.asked or running.asked[0].bytes_sent != sent:
        sent = running.asked[0].bytes_sent if running.asked else -1
        await trio.sleep(0.3)
    return sent


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_the_log_line_of_a_request_says_who_asked_what(running):
    running.load(
        {
            "output": [{"text": "hi"}],
            "usage": {"input_tokens": 120, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 9},
        }
    )
    await post(running, HELLO, user_agent="claude-cli/2.1.330 (external, cli)")
    fields = await running.request_fields()
    assert fields["client"] == "claude-cli/2.1.330"
    assert fields["account"] == "simulated@example.com (simulated)"
    assert (fields["model"], fields["model_used"], fields["status"]) == ("claude-sonnet-5-5", "gpt-5.5", 200)
    assert (fields["input_tokens"], fields["cached_tokens"], fields["output_tokens"]) == (120, 64, 9)
    assert fields["ttft_ms"] <= fields["duration_ms"]


async def test_no_secret_and_no_prompt_reaches_the_log(running):
    await post(
        running, {**HELLO, "messages": [{"role": "user", "content": "my secret plan"}]}, authorization="Bearer sk-local"
    )
    text = running.log_text()
    auth = next((running.places.state_dir / "accounts").glob("*/auth.json")).read_text()
    tokens = json.loads(auth)["tokens"]
    for secret in ("my secret plan", "sk-local", tokens["access_token"], tokens["refresh_token"]):
        assert secret not in text


async def test_count_tokens_needs_neither_max_tokens_nor_an_account(running):
    response = await post(
        running,
        {"model": "opus", "messages": [{"role": "user", "content": "hello world"}]},
        "/v1/messages/count_tokens",
    )
    assert response.status_code == 200
    assert 2 <= response.json()["input_tokens"] <= 30
    refused = await post(running, {"model": "opus"}, "/v1/messages/count_tokens")
    assert refused.json()["error"]["message"] == "messages: at least one message is required"


async def test_a_compressed_body_is_read(running):
    body = json.dumps(HELLO).encode()
    for encoding, data in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert (await post(running, data, content_encoding=encoding)).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status", "said"),
    [
        ("br", b"x", 400, "'br' is not supported"),
        ("gzip", b"{}", 400, "the body is not gzip"),
        ("gzip", gzip.compress(b"{}")[:-3], 400, "cut short"),
        ("gzip", gzip.compress(b" " * (bounds.BODY_BYTES + 1)), 413, "maximum size"),
    ],
    ids=["br", "no gzip", "cut short", "too large"],
)
async def test_a_body_that_is_compressed_badly_or_too_well_is_refused(running, encoding, body, status, said):
    response = await post(running, body, content_encoding=encoding)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


LOSSY = {
    **HELLO,
    "top_k": 5,
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "reasoning", "text": "x"}]}],
}


@pytest.mark.parametrize("stream", [True, False])
async def test_losses_are_counted_in_a_header_and_listed_with_the_request(running, stream):
    response = await post(running, {**LOSSY, "stream": stream})
    assert response.status_code == 200
    assert response.headers["codexd-losses"] == "2"
    (request,) = (await running.call("requests.list"))["requests"]
    losses = {loss["path"]: loss["kind"] for loss in request["losses"]}
    assert losses["top_k"] == "dropped"
    assert losses["messages[0].content[1]"] == "approximated"
    assert request["id"] == response.headers["request-id"]


@pytest.mark.parametrize("model", ["o3", "nope-1", ""])
async def test_an_unknown_model_is_answered_by_the_default_and_counted(running, model):
    response = await post(running, {**HELLO, "model": model})
    assert response.status_code == 200
    assert response.headers["codexd-losses"] == "1"
    explained = await running.call("requests.explain", id=response.headers["request-id"])
    (loss,) = explained["request"]["losses"]
    assert (loss["kind"], loss["path"]) == ("approximated", "model")
    assert loss["note"].startswith(f"{model!r} is not the name of a model, of a family or of an alias; gpt-")
    assert any("codexd approximated the field model" in advice for advice in explained["advice"])


async def test_strict_translation_refuses_an_unknown_model(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_TRANSLATION_STRICT": "true"})
    response = await post(running, {**HELLO, "model": "nope-1"})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("model: 'nope-1' is not the name of a model")
    assert running.asked == []
    assert (await post(running, HELLO)).status_code == 200


async def test_losses_are_counted_in_errors_and_in_counts_too(running):
    running.load({"error": {"status": 400, "body": {"detail": "Bad Request"}}})
    refused = await post(running, LOSSY)
    assert refused.status_code == 400
    assert refused.headers["codexd-losses"] == "2"
    counted = await post(running, LOSSY, "/v1/messages/count_tokens")
    assert counted.status_code == 200
    assert counted.headers["codexd-losses"] == "2"


async def test_a_kind_of_loss_is_logged_once_for_a_client(running):
    for _ in range(3):
        await post(running, LOSSY, user_agent="some/1.0")
    await post(running, LOSSY, user_agent="some/1.1")
    while (await running.call("daemon.status"))["streams_in_flight"]:
        await trio.sleep(0.01)
    assert running.log_text().count("dropped top_k") == 2


async def test_strict_translation_refuses_what_it_would_drop(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_TRANSLATION_STRICT": "true"})
    response = await post(running, LOSSY)
    assert response.status_code == 400
    assert "would be dropped" in response.json()["error"]["message"]
    assert "translation.strict" in response.json()["error"]["message"]
    cosmetic = {
        **HELLO,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
        ],
    }
    assert (await post(running, cosmetic)).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_prewarm_needs_no_backend(running, stream):
    response = await post(running, {**HELLO, "max_tokens": 0, "stream": stream})
    message = response.json() if not stream else read_events(response.text)[1]["delta"]
    assert message["stop_reason"] == "max_tokens"
    assert running.asked == []
    if not stream:
        assert message["content"] == []
        assert message["usage"]["input_tokens"] > 0


async def test_an_overflow_after_content_is_said_in_the_same_words(running):
    overflow = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}
    running.load({"output": [{"text": "begun"}], "failed": overflow, "after_items": 1}, {"failed": overflow})
    streamed = read_events((await post(running, STREAMED)).text)[-1]
    again = await post(running, HELLO)
    assert streamed["error"]["type"] == "invalid_request_error"
    assert again.status_code == 400
    assert streamed["error"]["message"] == again.json()["error"]["message"]
    assert "prompt is too long: 272001 tokens > 272000 maximum" in again.json()["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
async def test_what_comes_after_the_end_does_not_matter(running, stream):
    done = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": "whole"}
    frames = "".join(f"data: {json.dumps(event)}\n\n" for event in (delta, done))
    running.load({"raw": frames + "data: {cut", "cut": "connection"})
    response = await post(running, {**HELLO, "stream": stream})
    assert response.status_code == 200
    assert "whole" in response.text
    assert "error" not in response.text


@pytest.mark.parametrize(("agent", "status"), [("claude-cli/2.1.330 (external, cli)", 451), ("sdk/1.0", 400)])
async def test_a_policy_refusal_keeps_its_words(running, agent, status):
    running.load({"failed": {"code": "cyber_policy", "message": "This request was flagged."}})
    response = await post(running, STREAMED, user_agent=agent)
    assert response.status_code == status
    assert response.json()["error"]["message"] == "This request was flagged."


async def test_a_stop_sequence_ends_the_answer_and_the_upstream_request(running):
    running.load({"output": [{"text": "one two END three"}], "hold": "for ever", "after_items": 1})
    events = read_events((await post(running, {**STREAMED, "stop_sequences": ["END"]})).text)
    assert text_of(events) == "one two "
    assert (events[-2]["delta"]["stop_reason"], events[-2]["delta"]["stop_sequence"]) == ("stop_sequence", "END")
    with trio.fail_after(1):
        await running.asked[0].ended.wait()
    assert running.asked[0].outcome is Outcome.CUT_BY_CLIENT


async def test_a_small_max_tokens_cuts_the_answer(running):
    running.load({"output": [{"text": "word " * 500}]})
    message = (await post(running, {**HELLO, "max_tokens": 10})).json()
    assert message["stop_reason"] == "max_tokens"
    assert 20 < len(message["content"][0]["text"]) < 80


async def test_an_empty_answer_is_asked_for_again_and_then_an_error(running):
    running.load({"output": []}, {"output": [{"text": "now"}]}, {"output": [], "times": 2})
    assert (await post(running, HELLO)).json()["content"][0]["text"] == "now"
    response = await post(running, HELLO)
    assert (response.status_code, response.json()["error"]["type"]) == (502, "api_error")
    assert len(running.asked) == 4


LONG = "mcp__a_server_with_a_long_name__" + "x" * 60
DEFERRED = {"name": LONG, "input_schema": {"type": "object"}, "defer_loading": True}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": LONG, "input": {}}]}
ANSWERED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]}
REFERRED = {"type": "tool_reference", "tool_name": LONG}
LOADED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [REFERRED]}]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("tools", "turns"),
    [
        pytest.param([DEFERRED], [CALLED, ANSWERED], id="deferred"),
        pytest.param([], [CALLED, ANSWERED], id="only-in-the-history"),
        pytest.param([], [CALLED, LOADED], id="only-in-a-reference"),
        pytest.param(
            [DEFERRED], [{**CALLED, "content": [{**CALLED["content"][0], "name": "Find"}]}, LOADED], id="loaded"
        ),
    ],
)
async def test_a_short_name_is_restored_wherever_the_request_has_the_long_one(running, stream, tools, turns):
    running.load({"output": [{"call": {"name": shorten(LONG), "call_id": "c2"}}]})
    answer = await post(running, {**HELLO, "stream": stream, "tools": tools, "messages": [*HELLO["messages"], *turns]})
    assert f'"name":"{LONG}"' in answer.text
    assert shorten(LONG) not in answer.text


async def test_a_schema_that_the_backend_refuses_names_the_tool(running):
    message = f"Invalid schema for function '{shorten(LONG)}': '(?<a' is not a 'regex'."
    refusal = {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_function_parameters"}}
    running.load({"error": {"status": 400, "body": refusal}})
    answer = await post(running, {**HELLO, "tools": [{**DEFERRED, "defer_loading": False}]})
    assert answer.status_code == 400
    assert f'the tool "{LONG}": its pattern' in answer.json()["error"]["message"]
    explained = await running.call("requests.explain", id=answer.headers["request-id"])
    assert LONG in explained["summary"]
    assert any("Disable the tool" in advice for advice in explained["advice"])


AFTER_A_TOOL = [
    *HELLO["messages"],
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "Bash", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "done"}]},
]


async def test_an_empty_answer_to_a_tool_result_is_the_end_of_the_turn(running):
    running.load({"output": [], "times": 2})
    message = (await post(running, {**HELLO, "messages": AFTER_A_TOOL})).json()
    assert (message["content"], message["stop_reason"]) == ([], "end_turn")
    events = read_events((await post(running, {**STREAMED, "messages": AFTER_A_TOOL})).text)
    assert [event["type"] for event in events] == ["message_start", "message_delta", "message_stop"]
    assert events[1]["delta"]["stop_reason"] == "end_turn"
    assert len(running.asked) == 2


async def test_a_thread_that_goes_on_is_refused_as_claude_code_understands_it(running):
    thread = {"type": "continue", "previous_message_id": "msg_1"}
    headers = {"user-agent": "claude-cli/2.1.332 (external, sdk-cli)"}
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        response = await post(running, {**HELLO, "thread": thread}, path, **headers)
        assert response.status_code == 400
        assert "capability_rejected: beta_header:message-threads-2026-08-12" in response.json()["error"]["message"]
    assert running.asked == []


# -- images and PDFs --------------------------------------------------------------------------------

CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332 (external, sdk-cli)"}


def base64_of(data):
    return {"type": "base64", "data": b64encode(data).decode()}


def image(data, media_type="image/png"):
    return {"type": "image", "source": {**base64_of(data), "media_type": media_type}}


def document(data):
    return {"type": "document", "source": {**base64_of(data), "media_type": "application/pdf"}}


BROKEN = [
    pytest.param(image(make_image("PNG", (64, 48))[:500]), "messages.2.content.1.image.source.data", id="cut-off"),
    pytest.param(image(b"<svg/>", "image/svg+xml"), "messages.2.content.1.image.source.data", id="svg"),
    pytest.param(image(b""), "messages.2.content.1.image.source.data", id="empty"),
    pytest.param(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "no base64!"}},
        "messages.2.content.1.image.source.data",
        id="not-base64",
    ),
    pytest.param(
        {"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}},
        "messages.2.content.1.image.source.url",
        id="http",
    ),
    pytest.param(
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        "messages.2.content.1.image.source.type",
        id="image-file",
    ),
    pytest.param(document(b"PK"), "messages.2.content.1.document.source.data", id="no-pdf"),
    pytest.param(document(PAPER[:100]), "messages.2.content.1.document.source.data", id="pdf-cut-off"),
    pytest.param(
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        "messages.2.content.1.document.source.type",
        id="document-url",
    ),
]


@pytest.mark.parametrize("headers", [{}, CLAUDE_CODE], ids=["sdk", "claude-code"])
@pytest.mark.parametrize(("block", "path"), BROKEN)
async def test_a_medium_that_no_model_could_read_is_refused_by_its_path(running, block, path, headers):
    said = [*HELLO["messages"], {"role": "assistant", "content": "Yes?"}]
    messages = [*said, {"role": "user", "content": [{"type": "text", "text": "Look."}, block]}]
    response = await post(running, {**HELLO, "messages": messages}, **headers)
    words = "Could not process image" if block["type"] == "image" else "The PDF specified was not valid"
    assert response.json()["error"]["message"].startswith(f"{path}: {words} (")
    assert response.status_code == 400
    assert running.asked == []


@pytest.mark.parametrize(("block", "_"), BROKEN)
async def test_a_medium_that_a_tool_returned_is_left_out(running, block, _):
    running.load({"output": [{"text": "Odd."}]})
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "Here."}, block]}
    messages = [*AFTER_A_TOOL[:-1], {"role": "user", "content": [result]}]
    response = await post(running, {**HELLO, "messages": messages}, **CLAUDE_CODE)
    assert (response.status_code, response.headers["codexd-losses"]) == (200, "1")
    output = running.asked[0].body["input"][-1]["output"]
    assert output[0]["text"] == "Here."
    assert output[1]["text"].startswith(f"[{block['type']} left out: ")


async def test_an_image_that_the_backend_refuses_has_the_clients_path(running):
    message = "The image data you provided does not represent a valid image."
    error = {"message": message, "type": "invalid_request_error", "param": "input[2].output[1].image_url"}
    running.load({"error": {"status": 400, "body": {"error": {**error, "code": "invalid_value"}}}})
    picture = image(make_image("PNG"))
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "Here."}, picture]}
    messages = [*AFTER_A_TOOL[:-1], {"role": "user", "content": [result]}]
    response = await post(running, {**HELLO, "messages": messages}, **CLAUDE_CODE)
    assert response.status_code == 400
    path = "messages.2.content.0.tool_result.content.1.image"
    assert response.json()["error"]["message"] == f"{path}: Could not process image ({message})"


async def test_claude_code_is_shown_other_refusals_at_once(running):
    body = {"error": {"message": "No.", "type": "invalid_request_error"}}
    running.load({"error": {"status": 400, "body": body}, "times": 2})
    assert (await post(running, HELLO)).status_code == 400
    response = await post(running, HELLO, **CLAUDE_CODE)
    assert (response.status_code, response.json()["error"]["message"]) == (451, "No.")
