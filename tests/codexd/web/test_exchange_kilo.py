"""The model name ``kilo`` against the simulated backend and the simulated Kilo beside it, over real sockets."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from support.bodies import PNG
from support.harness import HELLO, WallClock, post, read_events, start_daemon, text_of

from codexd import __version__
from codexd.record.timeline import MAX_MODEL_CHARS
from codexd.simulator.kilo import FREE_MODEL, PAID_MODEL
from codexd.simulator.wire import Outcome
from codexd.web.exchange import Timing

KILO = {**HELLO, "model": "kilo"}
STREAMED = {**KILO, "stream": True}
THINKING = {"thinking": {"type": "adaptive"}}
TOOLS = [{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}]


@pytest.fixture
async def running(nursery, tmp_path):
    """A daemon whose user has opted in."""
    running = await start_daemon(nursery, tmp_path, timing=Timing(hold_s=10.0, ping_after_s=0.1))
    await running.call("settings.set", name="kilo.enabled", value=True)
    return running


def chats(running):
    """The completions that the simulated Kilo was asked for."""
    return [request for request in running.simulator.requests if request.path == "/api/openrouter/chat/completions"]


def at_kilo(running):
    return [request for request in running.simulator.requests if request.path.startswith("/api/openrouter")]


# -- off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_off_by_default_and_the_error_says_how_to_opt_in_and_what_that_means(nursery, tmp_path, stream):
    running = await start_daemon(nursery, tmp_path)
    response = await post(running, {**KILO, "stream": stream})
    error = response.json()
    assert response.status_code == 403
    assert (error["type"], error["error"]["type"]) == ("error", "permission_error")
    for words in ("codexctl settings set kilo.enabled true", "third party", "instead of your ChatGPT plan", "train"):
        assert words in error["error"]["message"]
    assert response.headers["x-should-retry"] == "false"
    listed = await running.call("kilo.models")
    assert (listed["enabled"], listed["models"]) == (False, [])
    assert "codexctl settings set kilo.enabled true" in listed["problem"]
    assert at_kilo(running) == []
    assert running.asked == []


async def test_it_can_be_switched_off_again(running):
    await running.call("settings.set", name="kilo.enabled", value=False)
    assert (await post(running, KILO)).status_code == 403
    assert at_kilo(running) == []


async def test_count_tokens_works_without_asking_anybody(running):
    await running.call("settings.set", name="kilo.enabled", value=False)
    response = await post(running, KILO, "/v1/messages/count_tokens")
    assert response.json()["input_tokens"] > 0
    assert at_kilo(running) == []


# -- which names lead there -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["claude-haiku-4-5", "haiku", "Kilo", "kilo/auto", "claude-kilo", FREE_MODEL, "gpt-5.5"]
)
async def test_no_other_name_leads_there(running, name):
    for family in ("haiku", "default"):
        await running.call("settings.set", name=f"models.{family}", value=["gpt-5.5", "kilo"])
    response = await post(running, {**KILO, "model": name})
    assert at_kilo(running) == []
    assert len(running.asked) == (1 if response.status_code == 200 else 0)


async def test_a_family_that_is_set_to_kilo_does_not_lead_there(running):
    await running.call("settings.set", name="models.haiku", value=["kilo"])
    assert (await post(running, {**KILO, "model": "haiku"})).status_code == 404
    assert at_kilo(running) == []


async def test_an_alias_of_the_user_leads_there_and_away_from_there(running):
    await running.call("settings.set", name="models.aliases", value={"cheap": "kilo", "kilo": "gpt-5.5"})
    answer = await post(running, {**KILO, "model": "cheap"})
    assert answer.json()["model"] == "cheap"
    assert (len(chats(running)), len(running.asked)) == (1, 0)
    await post(running, KILO)
    assert (len(chats(running)), len(running.asked)) == (1, 1)


# -- answers --------------------------------------------------------------------------------------


async def test_an_answer_is_one_message(running):
    running.simulator.kilo.load({"reasoning": "Let me think.", "text": "Hello there."})
    response = await post(running, {**KILO, **THINKING})
    message = response.json()
    assert response.status_code == 200
    thought, said = message["content"]
    assert (thought["thinking"], thought["signature"]) == ("Let me think.", "")
    assert said["text"] == "Hello there."
    assert (message["model"], message["stop_reason"]) == ("kilo", "end_turn")
    assert (message["usage"]["input_tokens"], message["usage"]["cache_read_input_tokens"]) == (17, 4)
    assert message["usage"]["output_tokens"] == 9
    assert running.asked == []


async def test_a_streamed_answer_follows_the_grammar(running):
    running.simulator.kilo.load({"text": "Hello there.", "usage": False})
    events = read_events((await post(running, STREAMED)).text)
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    assert [event["type"] for event in events][-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert text_of(events) == "Hello there."
    assert events[-2]["usage"]["output_tokens"] > 0  # estimated


async def test_a_tool_turn(running):
    calls = [
        {"id": "call_a", "name": "Bash", "arguments": '{"command":"ls"}'},
        {"id": "call_b", "name": "Bash", "arguments": '{"command":"pwd"}'},
    ]
    running.simulator.kilo.load({"reasoning": "Hm.", "text": "I look.", "calls": calls}, {"text": "Two files."})
    asked = {**KILO, **THINKING, "system": "Be brief.", "tools": TOOLS}
    message = (await post(running, asked)).json()
    assert message["stop_reason"] == "tool_use"
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block["input"] for block in message["content"][2:]] == [{"command": "ls"}, {"command": "pwd"}]
    image = {"type": "base64", "media_type": "image/png", "data": PNG}
    results = [
        {"type": "tool_result", "tool_use_id": "call_a", "content": "a b"},
        {"type": "tool_result", "tool_use_id": "call_b", "content": [{"type": "image", "source": image}]},
    ]
    turns = [
        *KILO["messages"],
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results},
    ]
    answer = await post(running, {**asked, "messages": turns})
    assert answer.json()["content"][0]["text"] == "Two files."
    messages = chats(running)[1].body["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert messages[2]["content"] == "I look."
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["call_a", "call_b"]
    assert messages[3] == {"role": "tool", "tool_call_id": "call_a", "content": "a b"}
    assert messages[5]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert answer.headers["codexd-losses"] == "2"  # its thinking, and where the image stands


async def test_reasoning_goes_from_neither_to_the_other(running):
    running.load({"output": [{"reasoning": {"summary": ["**Plan**"]}}, {"text": "one"}]})
    from_codex = (await post(running, {**HELLO, **THINKING})).json()["content"]
    running.simulator.kilo.load({"reasoning": "Secret plan.", "text": "two"})
    turns = [*KILO["messages"], {"role": "assistant", "content": from_codex}, {"role": "user", "content": "go"}]
    from_kilo = (await post(running, {**KILO, **THINKING, "messages": turns})).json()["content"]
    sent = json.dumps(chats(running)[0].body)
    assert "one" in sent
    assert "Plan" not in sent
    assert "gAAAA" not in sent
    turns = [*turns, {"role": "assistant", "content": from_kilo}, {"role": "user", "content": "on"}]
    assert (await post(running, {**HELLO, **THINKING, "messages": turns})).status_code == 200
    items = running.asked[1].body["input"]
    assert [item["type"] for item in items].count("reasoning") == 1
    assert "Secret plan" not in json.dumps(items)


@pytest.mark.parametrize(
    ("finish", "stop"), [("length", "max_tokens"), ("content_filter", "refusal"), ("eos", "end_turn")]
)
async def test_finish_reasons(running, finish, stop):
    running.simulator.kilo.load({"text": "so far", "finish_reason": finish})
    assert (await post(running, KILO)).json()["stop_reason"] == stop


async def test_stop_sequences_are_looked_for_here(running):
    running.simulator.kilo.load({"text": "one two STOP three"})
    message = (await post(running, {**KILO, "stop_sequences": ["STOP"]})).json()
    assert (message["content"][0]["text"], message["stop_reason"]) == ("one two ", "stop_sequence")


async def test_an_empty_answer_is_an_error_of_a_client_that_wants_one_document(running):
    running.simulator.kilo.load({}, {})
    response = await post(running, KILO)
    assert (response.status_code, len(chats(running))) == (502, 1)
    assert "empty" in response.json()["error"]["message"]


async def test_strict_refuses_what_would_be_dropped(running):
    await running.call("settings.set", name="translation.strict", value=True)
    search = {"type": "web_search_20250305", "name": "web_search"}
    response = await post(running, {**KILO, "tools": [*TOOLS, search]})
    assert response.status_code == 400
    assert "tools.web_search" in response.json()["error"]["message"]
    assert at_kilo(running) == []


# -- errors ---------------------------------------------------------------------------------------


def error(status, body, **headers):
    return {"error": {"status": status, "body": body, "headers": headers}}


@pytest.mark.parametrize(
    ("reply", "status", "type_", "words"),
    [
        (error(401, {"error": {"message": "Sign in", "code": "X"}}), 403, "permission_error", "HTTP 401: Sign in"),
        (error(402, {"error": {"message": "No credits", "code": 402}}), 403, "permission_error", "kilo.model NAME"),
        (error(403, "<html>no</html>"), 403, "permission_error", "(HTTP 403)"),
        (error(404, {"error": {"message": "No endpoints"}}), 403, "permission_error", FREE_MODEL),
        (error(403, {"error": {"message": "x", "metadata": {"reasons": ["y"]}}}), 400, "invalid_request_error", "x"),
        (error(400, {"error": {"message": "bad field", "code": 400}}), 400, "invalid_request_error", "bad field"),
        (error(429, {"error": "Slow down"}), 429, "rate_limit_error", "Slow down"),
        (error(500, "<html><b>Oops</b></html>"), 502, "api_error", "HTTP 500"),
        (error(503, {"error": {"message": "busy"}}), 529, "overloaded_error", "busy"),
        ({"text": "x", "cut": "eof"}, 502, "api_error", "closed the stream"),
        ({"text": "x", "cut": "connection"}, 502, "api_error", "broke"),
        ({"text": "x", "failed": {"message": "gone", "code": 502}}, 502, "api_error", "gone"),
        ({"failed": {"message": "bad field", "code": 400}}, 400, "invalid_request_error", "bad field"),
        ({"failed": {"message": "No credits", "code": 402}}, 400, "invalid_request_error", "No credits"),
        ({"failed": {"message": "too large", "code": 413}}, 400, "invalid_request_error", "too large"),
        ({"failed": {"message": "slow", "code": 429}}, 429, "rate_limit_error", "slow"),
        ({"raw": 'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'}, 502, "api_error", "closed"),
        ({"raw": "data: {nonsense\n\n"}, 502, "api_error", "not JSON"),
        (
            {"raw": '{"error":{"message":"y","code":503}}', "headers": {"content-type": "application/json"}},
            529,
            "",
            "y",
        ),
    ],
)
async def test_errors_are_worded_by_the_api(running, reply, status, type_, words):
    running.simulator.kilo.load(reply)
    response = await post(running, KILO)
    told = response.json()["error"]
    assert response.status_code == status
    assert type_ in told["type"]
    assert words in told["message"]
    assert "127.0.0.1" in told["message"]  # whose error it is
    assert "<" not in told["message"]
    assert running.asked == []  # nobody else is asked instead
    assert len(chats(running)) == 1


async def test_the_time_to_wait_is_passed_on(running):
    running.simulator.kilo.load(error(429, {"error": {"message": "Slow down"}}, **{"retry-after": "17"}))
    assert (await post(running, KILO)).headers["retry-after"] == "17"


async def test_a_window_that_is_too_small_makes_claude_code_compact(running):
    await running.call("kilo.models")
    words = "This request exceeds the model's context window of 204800 tokens."
    running.simulator.kilo.load(error(400, {"error": {"message": words, "code": 400}}))
    response = await post(running, KILO)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "prompt is too long: 204801 tokens > 204800 maximum"


async def test_a_model_that_costs_money_is_told_with_the_way_out(running):
    await running.call("settings.set", name="kilo.model", value=PAID_MODEL)
    told = (await post(running, KILO)).json()["error"]["message"]
    assert "You need to sign in to use this model" in told
    assert "`codexctl settings set kilo.model NAME`" in told


async def test_an_error_after_the_first_words_is_the_last_event(running):
    running.simulator.kilo.load({"text": "so far", "failed": {"message": "gone", "code": 502}, "hold": "gate"})
    seen = b""
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        async with client.stream("POST", "/v1/messages", json=STREAMED) as response:
            async for data in response.aiter_raw():
                seen += data
                running.simulator.release("gate")
    events = read_events(seen.decode())
    assert text_of(events) == "so far"
    assert events[-1]["type"] == "error"
    assert "gone" in events[-1]["error"]["message"]


async def wait_for(condition):
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.01)


async def test_silence_has_an_end(running):
    await running.call("settings.set", name="upstream.idle_timeout", value=0.3)
    running.simulator.kilo.load({"text": "x", "hold": "never"})
    response = await post(running, KILO)
    assert response.status_code == 504
    assert "127.0.0.1 was silent for 0.3 s" in response.json()["error"]["message"]


# -- the life of a request ------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_when_the_client_hangs_up_kilo_is_told(running, stream):
    """Seen there; the test would hang without it."""
    running.simulator.kilo.load({"text": "Hello", "hold": "gate"})
    async with trio.open_nursery() as client:
        client.start_soon(post, running, {**KILO, "stream": stream})
        await wait_for(lambda: chats(running) and chats(running)[0].bytes_sent)
        client.cancel_scope.cancel()
    with trio.fail_after(5):
        await chats(running)[0].ended.wait()
    assert chats(running)[0].outcome is Outcome.CUT_BY_CLIENT


async def test_it_can_be_cancelled(running):
    running.simulator.kilo.load({"text": "Hello", "hold": "gate"})

    async def cancel():
        await wait_for(lambda: chats(running) and chats(running)[0].bytes_sent)
        listed = await running.call("requests.list")
        await running.call("requests.cancel", id=listed["requests"][-1]["id"])

    async with trio.open_nursery() as inner:
        inner.start_soon(cancel)
        response = await post(running, KILO)
    assert "was cancelled" in response.json()["error"]["message"]
    with trio.fail_after(5):
        await chats(running)[0].ended.wait()


async def test_it_is_recorded_as_every_request_and_has_no_account(running):
    running.simulator.kilo.load({"text": "Hello"})
    await post(running, KILO)
    fields = await running.request_fields()
    assert "account" not in fields
    assert (fields["model"], fields["model_used"], fields["output_tokens"]) == ("kilo", FREE_MODEL, 9)
    request = (await running.call("requests.list"))["requests"][-1]
    assert (request["account"], request["model_used"], request["status"]) == (None, FREE_MODEL, 200)
    assert request["tokens"]["input"] == 21
    told = await running.call("requests.explain", id=request["id"])
    assert any(f"the third party 127.0.0.1 for {FREE_MODEL}" in step["what"] for step in told["timeline"])
    report = await running.call("usage.summary", by="account")
    assert [(row["name"], row["input_tokens"]) for row in report["rows"]] == [("none", 21)]


async def test_the_record_of_a_model_with_a_name_without_end_is_cut(running):
    await running.call("settings.set", name="kilo.model", value="m" * 5000)
    await post(running, KILO)
    (request,) = (await running.call("requests.list"))["requests"]
    assert request["model_used"] == "m" * MAX_MODEL_CHARS


CHAT = {"model": "kilo", "messages": HELLO["messages"]}
RESPONSES = {"model": "kilo", "input": "hi"}


async def test_chat_completions_too(running):
    document = (await post(running, CHAT, "/v1/chat/completions")).json()
    assert (document["model"], document["choices"][0]["finish_reason"]) == ("kilo", "stop")
    assert document["choices"][0]["message"]["content"]
    streamed = (await post(running, {**CHAT, "stream": True}, "/v1/chat/completions")).text
    assert streamed.endswith("data: [DONE]\n\n")
    chunks = [
        json.loads(frame.removeprefix("data: ")) for frame in streamed.split("\n\n") if frame.startswith("data: {")
    ]
    words = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert words == document["choices"][0]["message"]["content"]
    assert (len(chats(running)), running.asked) == (2, [])


async def test_responses_too(running):
    document = (await post(running, RESPONSES, "/v1/responses")).json()
    assert (document["model"], document["status"]) == ("kilo", "completed")
    assert document["output"][-1]["content"][0]["text"]
    events = read_events((await post(running, {**RESPONSES, "stream": True}, "/v1/responses")).text)
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert (len(chats(running)), running.asked) == (2, [])


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES)])
async def test_off_is_told_in_openais_shape(running, path, body):
    await running.call("settings.set", name="kilo.enabled", value=False)
    response = await post(running, body, path)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "kilo_disabled")
    assert "codexctl settings set kilo.enabled true" in response.json()["error"]["message"]
    assert at_kilo(running) == []


async def test_it_needs_no_account(running):
    await running.call("accounts.clear")
    running.simulator.kilo.load({"text": "Hello"})
    assert (await post(running, KILO)).status_code == 200


# -- what goes there ------------------------------------------------------------------------------


async def test_nothing_goes_there_but_the_request_and_our_name(running):
    session = {"x_claude_code_session_id": "5e55-1on"}
    for _ in range(2):  # the first answer sets a cookie
        await post(
            running, KILO, authorization="Bearer my-own-key", cookie="a=b", user_agent="claude-cli/9.9", **session
        )
    await post(running, HELLO)  # with a token, to the other one
    await running.call("kilo.models")
    token = (await running.call("accounts.token"))["access_token"]
    account = running.simulator.oauth.find("simulated@example.com", "personal").account_id
    allowed = {"host", "accept", "accept-encoding", "connection", "user-agent"}
    for request in at_kilo(running):
        is_chat = request.method == "POST"
        assert set(request.headers) == allowed | ({"content-type", "content-length"} if is_chat else set())
        assert request.headers["user-agent"].startswith(f"codexd/{__version__} ")
        sent = f"{request.headers} {request.query} {request.body}"
        for secret in (token, account, "my-own-key", "5e55-1on", "claude-cli", "cookie", "simulated@example.com"):
            assert secret not in sent
    assert set(chats(running)[0].body) == {"model", "messages", "stream", "stream_options"}


# -- the free models ------------------------------------------------------------------------------


async def test_the_free_models_are_listed_and_kept(running):
    listed = await running.call("kilo.models")
    assert listed["enabled"]
    assert listed["problem"] is None
    assert [model["id"] for model in listed["models"]] == [FREE_MODEL, "stepfun/step-3.7-flash:free"]
    assert listed["models"][0] | {"name": ""} == {
        "id": FREE_MODEL,
        "name": "",
        "context_window": 204_800,
        "takes_tools": True,
    }
    assert await running.call("kilo.models") == listed
    assert len(at_kilo(running)) == 1


async def test_an_old_list_is_asked_for_anew_and_better_than_none(nursery, tmp_path):
    clock = WallClock()
    running = await start_daemon(nursery, tmp_path, clock=clock)
    await running.call("settings.set", name="kilo.enabled", value=True)
    running.simulator.kilo.fail_list(500)
    failed = await running.call("kilo.models")
    assert (failed["models"], failed["fetched_at"]) == ([], None)
    assert "HTTP 500" in failed["problem"]
    running.simulator.kilo.fail_list(None)
    listed = await running.call("kilo.models")
    assert listed["models"]
    running.simulator.kilo.fail_list(503)
    clock.ahead_s = 3700
    old = await running.call("kilo.models")
    assert (old["models"], old["fetched_at"]) == (listed["models"], listed["fetched_at"])
    assert "HTTP 503" in old["problem"]
    assert len(at_kilo(running)) == 3
