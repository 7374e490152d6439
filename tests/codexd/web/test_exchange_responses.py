"""POST /v1/responses against the strict simulated backend, over real sockets."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from support.harness import post, read_events, start_daemon, start_request
from support.responses_bodies import CODEX_BODIES, CODEX_HEADERS, CODEX_LITE, CODEX_TURN, FUNCTION, THREAD

from codexd.jsontext import dumps
from codexd.simulator.options import Options
from codexd.simulator.wire import Outcome
from codexd.translation.reading.tool_names import shorten
from codexd.web.exchange import Timing

PATH = "/v1/responses"
HELLO = {"model": "gpt-5.5", "input": "hi"}
STREAMED = {**HELLO, "stream": True}
CODEX_STREAM = {**CODEX_TURN, "input": [item for item in CODEX_TURN["input"] if item["type"] != "reasoning"]}
CODEX = {name.replace("-", "_"): value for name, value in CODEX_HEADERS.items()}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=10.0, ping_after_s=0.1))


@pytest.fixture
async def running_hastily(nursery, tmp_path):
    """The status line waits for a moment only, so that pings can be seen before the first event."""
    return await start_daemon(nursery, tmp_path, timing=Timing(hold_s=0.2, ping_after_s=0.1))


def text_of(response):
    return [part["text"] for item in response["output"] for part in item.get("content") or ()]


async def test_a_whole_answer_is_one_response_object(running):
    running.load({"output": [{"text": "Hello there."}]})
    answer = await post(running, {**HELLO, "model": "opus"}, PATH)
    response = answer.json()
    assert (answer.status_code, text_of(response)) == (200, ["Hello there."])
    assert (response["model"], response["status"], response["store"]) == ("opus", "completed", False)
    assert running.asked[0].body["model"] == "gpt-5.5"
    assert running.asked[0].headers["originator"] == "codexd"
    assert (await running.request_fields())["output_tokens"] == 3


async def test_a_stream_is_the_backends_own(running):
    running.load({"output": [{"reasoning": {"summary": ["**Plan**"]}}, {"text": "Hello there."}]})
    answer = await post(running, {**STREAMED, "model": "opus"}, PATH)
    events = read_events(answer.text)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert text_of(events[-1]["response"]) == ["Hello there."]
    assert {event["response"]["model"] for event in events if "response" in event} == {"opus"}
    assert "[DONE]" not in answer.text


async def test_a_second_turn_gives_the_output_back(running):
    running.load({"output": [{"reasoning": {}}, {"call": {"name": "exec_command", "call_id": "call_1"}}]})
    asked = {**HELLO, "tools": [FUNCTION]}
    response = (await post(running, asked, PATH)).json()
    result = {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"}
    items = [{"role": "user", "content": "hi"}, *response["output"], result]
    assert (await post(running, {**asked, "input": items}, PATH)).status_code == 200
    kinds = [item["type"] for item in running.asked[1].body["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output"]


async def test_losses_are_counted_and_strict_refuses_them(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    asked = {**HELLO, "temperature": 0.2, "user": "u"}
    assert (await post(running, asked, PATH)).headers["codexd-losses"] == "1"
    await running.call("settings.set", name="translation.strict", value=True)
    refused = await post(running, asked, PATH)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "temperature"


async def test_a_previous_response_is_refused_in_openais_words(running):
    answer = await post(running, {**HELLO, "previous_response_id": "resp_1"}, PATH)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "previous_response_not_found",
        "previous_response_id",
    )
    assert running.asked == []


@pytest.mark.parametrize("body", [b"", b"[1]", b"{}", {"model": "gpt-5.5"}, {**HELLO, "tools": [{"type": "mcp"}]}])
async def test_bad_input_gets_a_400_in_openais_shape(running, body):
    answer = await post(running, body, PATH)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert running.asked == []


async def test_what_the_backend_refuses_is_told_in_its_words(running):
    answer = await post(running, {**HELLO, "tools": [{"type": "shell"}]}, PATH)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Unsupported tool type: shell")


async def test_a_compressed_body_that_python_can_not_read_is_refused_clearly(running):
    answer = await post(running, b"(\xb5/\xfd", PATH, content_encoding="zstd")
    assert answer.status_code == 400
    assert "zstd" in answer.json()["error"]["message"]


# -- failures ---------------------------------------------------------------------------------------

OVERFLOW = {"code": "context_length_exceeded", "message": "too long"}


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        ({"error": {"status": 429, "body": {"error": {"type": "usage_limit_reached", "message": "used", "resets_in_seconds": 60}}}}, 429, "usage_limit_reached"),
        ({"failed": OVERFLOW}, 400, "context_length_exceeded"),
        ({"failed": {"code": "server_is_overloaded"}, "as": "both"}, 503, "server_is_overloaded"),
        ({"failed": {"code": "server_error"}, "as": "flat-error"}, 502, "server_error"),
        ({"cut": "eof", "after_events": 2}, 502, "stream_disconnected"),
        ({"error": {"status": 502, "body": "<html>Bad gateway</html>"}}, 502, "server_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [HELLO, STREAMED])
async def test_errors_before_the_answer_are_http_errors(running, reply, status, code, body):
    running.load(reply)
    answer = await post(running, body, PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "<html>" not in answer.text


@pytest.mark.parametrize("how", ["failed", "error", "both", "flat-error"])
async def test_a_failure_in_the_answer_is_the_backends_own_and_ends_in_a_failed_response(running, how):
    running.load({"output": [{"text": "begun"}], "failed": OVERFLOW, "as": how, "after_items": 1})
    answer = await post(running, STREAMED, PATH)
    events = read_events(answer.text)
    assert answer.status_code == 200
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "context_length_exceeded"
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]
    assert [event["type"] for event in events].count("error") == (how != "failed")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize("cut", ["eof", "connection"])
async def test_a_cut_answer_never_just_ends(running, cut):
    running.load({"output": [{"text": "begun"}], "cut": cut})
    events = read_events((await post(running, STREAMED, PATH)).text)
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["code"] == "stream_disconnected"


async def test_a_failure_after_pings_has_the_beginning_that_sdks_wait_for(running_hastily):
    running_hastily.load({"hold": "later", "failed": OVERFLOW})
    async with httpx.AsyncClient(base_url=running_hastily.address, trust_env=False, timeout=30) as client:
        async with client.stream("POST", PATH, json=STREAMED) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == ": ping"
            running_hastily.simulator.release("later")
            names = [line async for line in lines if line.startswith("event:")]
    assert names == ["event: response.created", "event: response.in_progress", "event: response.failed"]


async def test_a_request_that_its_user_ends_is_not_repeated_by_the_codex_cli(running):
    running.load({"output": [{"text": "begun"}], "hold": "never", "after_items": 1}, then="repeat-last")
    for headers, code in (({}, "request_cancelled"), (CODEX, "invalid_prompt")):
        answers = []
        async with trio.open_nursery() as nursery:

            async def ask(headers=headers, answers=answers):
                body = {**CODEX_STREAM, "stream": True} if headers else STREAMED
                answers.append(await post(running, body, PATH, **headers))

            nursery.start_soon(ask)
            with trio.fail_after(5):
                while not (
                    live := [
                        r
                        for r in (await running.call("requests.list"))["requests"]
                        if r["ttft_ms"] and r["state"] == "running"
                    ]
                ):
                    await trio.sleep(0.01)
            await running.call("requests.cancel", id=live[0]["id"])
        [last] = [event for event in read_events(answers[0].text) if event["type"] == "response.failed"]
        assert last["response"]["error"]["code"] == code


async def read_until(running, words):
    """A streamed answer up to ``words``, and then the connection is closed."""
    connection = await start_request(running, STREAMED, "/v1/responses")
    seen = b""
    with trio.fail_after(5):
        while words not in seen:
            seen += await connection.receive_some(65536)
    await connection.aclose()
    with trio.fail_after(5):
        await running.asked[0].ended.wait()


async def test_when_the_client_leaves_the_backend_is_let_go(running):
    running.load({"output": [{"text": "begun"}], "hold": "never", "after_items": 1})
    await read_until(running, b"output_text.delta")
    assert running.asked[0].outcome is Outcome.CUT_BY_CLIENT
    assert (await running.request_fields())["error"] == "the client hung up"


async def test_a_client_that_leaves_after_the_last_event_has_not_hung_up(running):
    """The Codex CLI does; here before the backend has ended its body."""
    ending = {"type": "response.completed", "response": {"id": "resp_1", "output": [], "usage": {"output_tokens": 7}}}
    running.load({"events": [ending], "hold": "never", "after_events": 1})
    await read_until(running, b"response.completed")
    fields = await running.request_fields()
    assert "error" not in fields
    assert fields["output_tokens"] == 7


async def test_stale_reasoning_is_left_out_and_sent_again(running):
    for sealed, headers in (("gAAAAforeign", {}), ("gAAAAanother", CODEX)):
        foreign = {"type": "reasoning", "summary": [], "encrypted_content": sealed}
        items = [{"type": "message", "role": "user", "content": "hi"}, foreign]
        answer = await post(running, {**CODEX_STREAM, "input": items}, PATH, **headers)
        assert read_events(answer.text)[-1]["type"] == "response.completed"
    assert [request.status for request in running.asked] == [400, 200, 400, 200]
    assert [item["type"] for item in running.asked[3].body["input"]] == ["message"]


async def test_what_was_refused_once_costs_the_session_no_second_refusal(running):
    """As after a switch of accounts and a restart of codexd, which then no longer knows whose the older ones are."""
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAforeign"}
    items = [{"type": "message", "role": "user", "content": "hi"}, foreign]
    running.load({"output": [{"reasoning": {}}, {"text": "One."}]})
    first = read_events((await post(running, {**CODEX_STREAM, "input": items}, PATH, **CODEX)).text)
    items += [event["item"] for event in first if event["type"] == "response.output_item.done"]
    await post(running, {**CODEX_STREAM, "input": items}, PATH, **CODEX)
    assert [request.status for request in running.asked] == [400, 200, 200]
    assert [item["type"] for item in running.asked[2].body["input"]] == ["message", "reasoning", "message"]


# -- the Codex CLI ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODEX_BODIES)
async def test_the_codex_clis_request_goes_on_as_it_is(running, name):
    body = CODEX_BODIES[name] | {"input": [i for i in CODEX_BODIES[name]["input"] if i["type"] != "reasoning"]}
    answer = await post(running, body, PATH, **CODEX)
    assert read_events(answer.text)[-1]["type"] == "response.completed"
    assert running.asked[0].body == body


async def test_the_protocols_headers_go_up_and_come_down_and_ours_stay_ours(running):
    sent = {**CODEX, "authorization": "Bearer client", "version": "9.9.9", "chatgpt_account_id": "x"}
    answer = await post(running, CODEX_STREAM, PATH, **sent)
    up = running.asked[0].headers
    relayed = {name: up.get(name) for name in CODEX_HEADERS if name not in ("user-agent", "originator")}
    assert relayed == {name: value for name, value in CODEX_HEADERS.items() if name in relayed}
    assert (up["originator"], up["user-agent"].split("/")[0]) == ("codexd", "codexd")
    assert (up["version"], up["authorization"]) != ("9.9.9", "Bearer client")
    assert up["authorization"] == "simulated@example.com"
    assert answer.headers["x-codex-primary-window-minutes"] == "300"
    assert answer.headers["openai-model"] == "gpt-5.5"
    assert answer.headers["x-models-etag"].startswith("W/")


@pytest.mark.parametrize(
    ("asked", "served", "named"),
    [
        pytest.param("gpt-5.5", None, "gpt-5.5", id="as asked"),
        pytest.param("opus", None, "opus", id="a name of codexd's own"),
        pytest.param("opus", "gpt-6-luna", "gpt-6-luna", id="the backend took another"),
    ],
)
async def test_the_codex_cli_is_told_of_another_model_only_if_the_backend_took_it(running, asked, served, named):
    running.load({"output": [{"text": "Hi"}], "model": served})
    answer = await post(running, {**CODEX_STREAM, "model": asked}, PATH, **CODEX)
    assert answer.headers["openai-model"] == named


async def test_the_backends_own_frames_are_for_the_codex_cli_alone(running):
    kinds = {}
    for caller, headers in (("codex", CODEX), ("sdk", {})):
        events = read_events((await post(running, CODEX_STREAM, PATH, **headers)).text)
        kinds[caller] = {event["type"] for event in events}
    assert kinds["codex"] - kinds["sdk"] == {"codex.rate_limits"}


async def test_a_websocket_gets_the_answer_after_which_the_codex_cli_takes_http(running):
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "eA==",
        "sec-websocket-version": "13",
    }
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        answer = await client.get(PATH, headers=upgrade)
        assert (answer.status_code, answer.json()["error"]["code"]) == (426, "upgrade_refused")
        assert (await client.get(PATH)).status_code == 405


# -- beside it --------------------------------------------------------------------------------------


async def test_compact_is_a_turn_that_ends_with_a_trigger(running):
    answer = await post(running, CODEX_STREAM, f"{PATH}/compact", **CODEX)
    assert (answer.status_code, answer.json()["object"]) == (200, "response.compaction")
    kept = [item for item in CODEX_STREAM["input"] if item.get("role") == "user"]
    *others, compaction = answer.json()["output"]
    assert others == kept
    assert compaction["type"] == "compaction"
    assert answer.headers["x-codex-plan-type"] == "plus"
    [asked] = running.asked
    assert asked.body["input"][-1] == {"type": "compaction_trigger"}
    assert "remote_compaction_v2" in asked.headers["x-codex-beta-features"]
    assert asked.headers["session-id"] == THREAD
    assert (await running.request_fields())["input_tokens"] > 0
    assert (await post(running, {**CODEX_STREAM, "input": [*others, compaction]}, PATH, **CODEX)).status_code == 200


@pytest.mark.parametrize("headers", [{}, CODEX])
async def test_a_trigger_in_a_plain_request_is_answered_with_the_item(running, headers):
    body = {**HELLO, "input": [*CODEX_STREAM["input"], {"type": "compaction_trigger"}], "stream": False}
    answer = await post(running, body, PATH, **headers)
    assert [item["type"] for item in answer.json()["output"]] == ["compaction"]


async def test_a_compaction_without_its_item_is_asked_for_again_and_then_an_error(running):
    running.load({"output": [{"text": "Not a summary."}], "times": 2})
    answer = await post(running, HELLO, f"{PATH}/compact")
    assert answer.status_code == 502
    assert len(running.asked) == 2


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({**CODEX, "user_agent": "codex_exec/0.199.1 (Debian)"}, "0.199.1"),
        ({**CODEX, "user_agent": "codex_exec/0.99.0 (Debian)"}, "0.171.0"),
        ({"user_agent": "OpenAI/Python 3.57.0"}, "0.171.0"),
    ],
)
async def test_the_newer_version_of_a_codex_cli_goes_up(running, headers, version):
    assert (await post(running, CODEX_STREAM, PATH, **headers)).status_code == 200
    assert running.asked[-1].headers["version"] == version
    assert running.asked[-1].headers["user-agent"].startswith("codexd/")


async def test_responses_lite_for_a_name_that_leads_to_a_model_without_it(running):
    await running.call("settings.set", name="models.aliases", value={"gpt-6.1-sol": "gpt-5.5"})
    lite = {**CODEX, "x_openai_internal_codex_responses_lite": "true"}
    body = {**CODEX_LITE, "input": [item for item in CODEX_LITE["input"] if item["type"] != "compaction"]}
    assert (await post(running, body, PATH, **lite)).status_code == 200
    assert "x-openai-internal-codex-responses-lite" not in running.asked[-1].headers
    await running.call("settings.unset", name="models.aliases")
    assert (await post(running, body, PATH, **lite)).status_code == 200
    assert running.asked[-1].headers["x-openai-internal-codex-responses-lite"] == "true"


async def test_compact_of_an_sdk(running):
    answer = await post(running, {**HELLO, "temperature": 0.1}, f"{PATH}/compact")
    assert answer.json()["output"][-1]["type"] == "compaction"
    assert answer.headers["codexd-losses"] == "1"


async def test_compact_refreshes_a_token_and_tells_of_limits_like_a_turn(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    running.simulator.oauth.expire_access("simulated@example.com")
    assert (await post(running, HELLO, f"{PATH}/compact")).status_code == 200
    assert running.refreshes == 1
    running.simulator.set_used("simulated@example.com", "primary", 100)
    refused = await post(running, HELLO, f"{PATH}/compact")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "usage_limit_reached")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"error": {"status": 400, "body": {"detail": "Bad Request"}}}, 400),
        ({"error": {"status": 200, "body": {"output": []}, "headers": {"content-type": "application/json"}}}, 502),
        ({"error": {"status": 500, "body": {"error": {"code": "server_error", "message": "x"}}}}, 502),
    ],
)
async def test_compact_that_fails(running, reply, status):
    running.load(reply)
    assert (await post(running, HELLO, f"{PATH}/compact")).status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/resp_1"),
        ("DELETE", "/resp_1"),
        ("POST", "/resp_1/cancel"),
        ("GET", "/resp_1/input_items"),
    ],
)
async def test_no_response_is_kept(running, method, path):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        answer = await client.request(method, PATH + path)
    assert answer.status_code == 404
    assert "stores responses" in answer.json()["error"]["message"]


async def test_input_tokens_counts_without_an_account(running):
    await running.call("accounts.clear")
    short = await post(running, {"input": "hi"}, f"{PATH}/input_tokens")
    assert short.json()["object"] == "response.input_tokens"
    long = await post(running, {**HELLO, "input": "hello world " * 500}, f"{PATH}/input_tokens")
    assert short.json()["input_tokens"] < 30
    assert long.json()["input_tokens"] >= 1000
    odd = json.dumps({**HELLO, "input": [{"type": "future", "x": 1}, {"role": "user", "content": [{"x": 1}, 3]}]})
    assert (await post(running, odd.encode(), f"{PATH}/input_tokens")).status_code == 200
    assert (await post(running, b"[]", f"{PATH}/input_tokens")).status_code == 400


async def test_an_overflow_is_told_in_openais_words(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(context_window_tokens=10))
    answer = await post(running, {**HELLO, "input": "long " * 50}, PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


LONG = "mcp__a_server_with_a_long_name__" + "x" * 60
NAMED = {**FUNCTION, "name": LONG}
CALLED = {"type": "function_call", "call_id": "c1", "name": LONG, "arguments": "{}"}
ANSWERED = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
USER = {"role": "user", "content": "hi"}
CALLED_IN_CHAT = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": LONG, "arguments": "{}"}}],
}
ANSWERED_IN_CHAT = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
USED = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": LONG, "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fields", "call"),
    [
        pytest.param({"tools": [NAMED], "tool_choice": {"type": "function", "name": LONG}}, {}, id="tool"),
        pytest.param({"tools": [{"type": "function", "function": NAMED}]}, {}, id="nested"),
        pytest.param({"input": [USER, CALLED, ANSWERED]}, {}, id="only-in-the-history"),
        pytest.param({"tools": [NAMED], "input": [USER, CALLED_IN_CHAT, ANSWERED_IN_CHAT]}, {}, id="chat-history"),
        pytest.param({"input": [USER, CALLED_IN_CHAT, ANSWERED_IN_CHAT]}, {}, id="only-in-a-chat-history"),
        pytest.param({"input": [USER, USED, RESULT]}, {}, id="only-in-a-messages-history"),
        pytest.param({"input": [USER, {"type": "additional_tools", "tools": [NAMED]}]}, {}, id="in-the-input"),
        pytest.param(
            {"tools": [{"type": "namespace", "name": "my.space", "tools": [NAMED]}]},
            {"namespace": shorten("my.space")},
            id="namespace",
        ),
    ],
)
async def test_long_tool_names_are_shortened_and_restored(running, stream, fields, call):
    running.load({"output": [{"call": {"name": shorten(LONG), "call_id": "c2", **call}}]})
    answer = await post(running, {**HELLO, "stream": stream, **fields}, PATH)
    assert answer.status_code == 200, answer.text
    body = dumps(running.asked[0].body).decode()
    assert body.count(shorten(LONG)) == body.count('"name":"mcp__xxx')
    assert f'"name":"{LONG}"' in answer.text
    assert shorten(LONG) not in answer.text
    assert shorten("my.space") not in answer.text
    response = read_events(answer.text)[-1]["response"] if stream else answer.json()
    turn = [USER, *response["output"], {**ANSWERED, "call_id": "c2"}]
    assert (await post(running, {**HELLO, **fields, "input": turn}, PATH)).status_code == 200
