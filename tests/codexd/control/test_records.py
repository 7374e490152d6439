"""``requests.*`` and ``usage.summary`` of a whole daemon."""

from __future__ import annotations

import json

import pytest
import trio
from support.control_peer import Peer
from support.harness import HELLO, RefusedError, post, read_events, start_daemon, text_of

from codexd.simulator.wire import Outcome
from codexd.translation.wire_errors import without_countdown

STREAMED = {**HELLO, "max_tokens": 1_000_000_000, "stream": True}
HELD = {"output": [{"text": "so far, so good"}], "hold": "for ever", "after_items": 1}
CLAUDE_CODE = "claude-cli/2.1.330 (external, cli)"


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


async def last_of(running, state=None):
    """The newest request, once it is in ``state``."""
    with trio.fail_after(5):
        while True:
            found = (await running.call("requests.list", limit=1, **({"state": state} if state else {})))["requests"]
            if found:
                return found[0]
            await trio.sleep(0.01)


async def explain(running, **params):
    explanation = await running.call("requests.explain", **params)
    assert [step["at_ms"] for step in explanation["timeline"]] == sorted(
        step["at_ms"] for step in explanation["timeline"]
    )
    return explanation, [step["what"] for step in explanation["timeline"]]


async def test_an_answer_leaves_its_timeline(running):
    running.load({"output": [{"text": "Hello there."}]})
    await post(running, STREAMED, user_agent="some/1.0")
    request = await last_of(running, "done")
    assert (request["stop_reason"], request["upstream_status"], request["retries"]) == ("end_turn", 200, 0)
    assert request["upstream_request_id"].startswith("req_")
    assert request["upstream_request_id"] != request["id"]
    assert request["account_reason"] == "active account"
    assert request["tokens"]["estimated"] is False
    assert (request["told"], request["error_kind"]) == (None, None)
    assert 0 <= request["longest_silence_ms"] <= request["duration_ms"]
    _, steps = await explain(running, id=request["id"][4:12])
    # The question for the models, at the start, may have opened the connection, or hold up the token for a moment.
    steps = [step for step in steps if not step.startswith(("Connected to the backend", "Waited"))]
    starts = (
        "some/1.0 sent POST /v1/messages for the model claude-sonnet-5-5.",
        "Chose the account simulated@example.com (simulated): active account.",
        "Asked the backend for gpt-5.5.",
        "Sent the request",
        "The backend answered HTTP 200",
        "The first event came",
        "The first piece of the answer",
        "The answer was complete (stop reason end_turn).",
    )
    assert len(steps) == len(starts)
    assert all(step.startswith(start) for step, start in zip(steps, starts, strict=True))


async def test_requests_of_a_conversation_share_their_session(running):
    await post(running, HELLO)
    turns = [*HELLO["messages"], {"role": "assistant", "content": "ok"}, {"role": "user", "content": "go on"}]
    await post(running, {**HELLO, "messages": turns})
    await post(running, {**HELLO, "messages": [{"role": "user", "content": "something else"}]})
    sessions = [request["session"] for request in (await running.call("requests.list"))["requests"]]
    assert sessions[0] == sessions[1] != sessions[2]


async def test_a_second_try_and_a_fresh_token_are_steps(running):
    await running.let_token_expire()
    stale = {"code": "invalid_encrypted_content", "message": "could not be verified"}
    running.load({"failed": stale}, {"output": [{"text": "fine"}]})
    await post(running, HELLO)
    request = await last_of(running, "done")
    assert request["retries"] == 1
    _, steps = await explain(running, id=request["id"])
    assert any("for a fresh access token" in step for step in steps)
    assert any(step == "Tried again at once after this error: could not be verified." for step in steps)
    assert sum(step.startswith("The first event") for step in steps) == 2


async def test_a_short_limit_that_was_waited_for_is_a_step(running):
    limit = {"code": "rate_limit_exceeded", "message": "Please try again in 0.1s."}
    running.load({"error": {"status": 429, "body": {"error": limit}}}, {"output": [{"text": "fine"}]})
    assert (await post(running, HELLO)).status_code == 200
    request = await last_of(running, "done")
    _, steps = await explain(running, id=request["id"])
    assert any(step.startswith("Waited 0.") and "simulated@example.com" in step for step in steps)
    assert "The backend answered HTTP 429" in " ".join(steps)


async def test_what_a_client_was_told_is_kept(running):
    limit = {"code": "usage_limit_reached", "message": "Your limit is reached", "resets_in_seconds": 7000}
    running.load({"failed": limit}, {"output": [{"text": "begun"}], "failed": limit, "after_items": 1})
    whole = (await post(running, HELLO)).json()["error"]
    request = await last_of(running, "failed")
    assert request["told"] == {
        "status": 429,
        "type": "rate_limit_error",
        "message": without_countdown(whole["message"]),
    }
    assert (request["error"], request["error_kind"]) == ("Your limit is reached", "usage_limit_reached")
    streamed = read_events((await post(running, STREAMED)).text)[-1]["error"]
    request = await last_of(running, "failed")
    told = without_countdown(streamed["message"])
    assert request["told"] == {"status": 200, "type": streamed["type"], "message": told}
    assert (request["status"], request["tokens"]["estimated"]) == (200, True)
    explanation, steps = await explain(running)
    assert explanation["request"]["id"] == request["id"]
    assert steps[-1] == "The request failed: Your limit is reached."
    assert "available again at 20" in explanation["summary"]
    assert explanation["advice"][1].startswith("The limit ends in 1 h 57 min")


async def test_a_request_that_never_got_to_a_model_is_explained(running):
    await post(running, b"{}")
    explanation, _ = await explain(running)
    assert "without a readable model name" in explanation["summary"]
    assert explanation["request"]["told"]["status"] == 400


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
async def test_a_request_that_is_refused_still_says_for_which_model_it_was(running, path):
    await post(running, {"model": "opus", "messages": 1, "input": 1}, path)
    request = await last_of(running, "failed")
    assert (request["status"], request["model"]) == (400, "opus")


@pytest.mark.parametrize("method", ["requests.cancel", "requests.explain"])
async def test_an_unknown_request_is_said_to_be_none(running, method):
    with pytest.raises(RefusedError, match="codexctl requests") as caught:
        await running.call(method, id="nonsense")
    assert caught.value.kind == "request_not_found"


# -- cancelling -----------------------------------------------------------------------------------


async def read_held(running, nursery, body, headers):
    """A request whose answer has begun and goes on for ever; ``answer`` is filled at its end."""
    answer = []

    async def read():
        answer.append(await post(running, body, **headers))

    nursery.start_soon(read)
    with trio.fail_after(5):
        while not (request := await last_of(running, "running"))["ttft_ms"]:
            await trio.sleep(0.01)
    return request, answer


async def until(condition):
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.01)


async def test_a_cancelled_stream_ends_with_an_error_and_upstream_is_told(running, nursery):
    running.load(HELD)
    request, answer = await read_held(running, nursery, STREAMED, {})
    assert request["tokens"] == {"input": 0, "cached": 0, "output": 4, "reasoning": 0, "estimated": True}
    cancelled = await running.call("requests.cancel", id=request["id"])
    assert cancelled["id"] == request["id"]
    await until(lambda: answer)
    events = read_events(answer[0].text)
    assert text_of(events) == "so far, so good"
    assert events[-1]["type"] == "error"
    assert "cancelled with `codexctl`" in events[-1]["error"]["message"]
    await until(running.asked[0].ended.is_set)
    assert running.asked[0].outcome is Outcome.CUT_BY_CLIENT
    request = await last_of(running, "cancelled")
    assert (request["error_kind"], request["status"], request["told"]["status"]) == ("request_cancelled", 200, 200)
    assert request["tokens"]["output"] == 4
    with pytest.raises(RefusedError, match="has already ended"):
        await running.call("requests.cancel", id=request["id"])


@pytest.mark.parametrize(("agent", "status"), [("some/1.0", 400), (CLAUDE_CODE, 451)])
async def test_a_cancelled_whole_answer_is_an_error(running, nursery, agent, status):
    running.load(HELD)
    request, answer = await read_held(running, nursery, HELLO, {"user_agent": agent})
    await running.call("requests.cancel", id=request["id"][:8])
    await until(lambda: answer)
    assert answer[0].status_code == status
    assert answer[0].json()["error"]["type"] == "invalid_request_error"
    assert answer[0].headers["x-should-retry"] == "false"


async def test_claude_codes_second_request_after_a_cancelled_stream_is_refused_once(running, nursery):
    running.load(HELD)
    request, answer = await read_held(running, nursery, STREAMED, {"user_agent": CLAUDE_CODE})
    await running.call("requests.cancel", id=request["id"])
    await until(lambda: answer)
    again = {**STREAMED, "stream": False}
    assert (await post(running, {**again, "max_tokens": 0}, user_agent=CLAUDE_CODE)).status_code == 200  # a prewarm
    assert (await post(running, again, user_agent=CLAUDE_CODE)).status_code == 451
    assert len(running.asked) == 1
    assert (await post(running, again, user_agent=CLAUDE_CODE)).status_code == 200


@pytest.mark.parametrize(("agent", "body"), [("some/1.0", HELLO), (CLAUDE_CODE, STREAMED)])
async def test_what_is_asked_anew_after_a_cancelled_stream_is_served(running, nursery, agent, body):
    running.load(HELD)
    request, answer = await read_held(running, nursery, STREAMED, {"user_agent": agent})
    await running.call("requests.cancel", id=request["id"])
    await until(lambda: answer)
    assert (await post(running, body, user_agent=agent)).status_code == 200


async def hang_up_at(running, mark):
    """A streamed request whose client leaves as soon as it has read ``mark``."""
    body = json.dumps(STREAMED).encode()
    async with await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2])) as client:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
        await client.send_all(head.encode() + body)
        text = b""
        while mark not in text:
            text += await client.receive_some()


@pytest.mark.parametrize(
    ("failure", "mark", "ended"),
    [
        ({}, b"event: message_stop", ("done", None)),
        ({"failed": {"code": "server_error", "message": "broken"}}, b"event: error", ("failed", "broken")),
    ],
)
async def test_a_client_may_hang_up_at_the_end(running, failure, mark, ended):
    running.load(*[{"output": [{"text": "so far"}], "after_items": 1} | failure] * 20)
    for _ in range(20):
        await hang_up_at(running, mark)
        while (request := await last_of(running))["state"] == "running":
            await trio.sleep(0.01)
        assert (request["state"], request["error"]) == ended


async def test_a_request_whose_client_hangs_up_is_stopped_and_no_failure_to_explain(running):
    running.load({"error": {"status": 500, "body": {"error": {"message": "broken"}}}}, HELD)
    await post(running, HELLO)
    await hang_up_at(running, b"so far")
    with trio.fail_after(5):
        request = await last_of(running, "stopped")
    assert (request["error_kind"], request["told"], request["tokens"]["estimated"]) == ("client_left", None, True)
    explanation, _ = await explain(running)
    assert explanation["request"]["error"] == "broken"


# -- following ------------------------------------------------------------------------------------


async def test_requests_are_followed(running, nursery):
    await post(running, HELLO)
    running.load(HELD)
    stream = await trio.open_unix_socket(str(running.places.socket))
    async with stream:
        peer = Peer(stream)
        subscription = (await peer.call("requests.follow", {"limit": 5})).result["subscription"]
        past = await peer.receive()
        assert past.method == "requests.follow.event"
        assert (past.params["subscription"], past.params["request"]["state"]) == (subscription, "done")
        request, answer = await read_held(running, nursery, STREAMED, {})
        states = []
        while not states or not states[-1]["ttft_ms"]:
            states.append((await peer.receive()).params["request"])
        assert {state["id"] for state in states} == {request["id"]}
        await running.call("requests.cancel", id=request["id"])
        while states[-1]["state"] == "running":
            states.append((await peer.receive()).params["request"])
        assert states[-1]["error_kind"] == "request_cancelled"
        await until(lambda: answer)


# -- usage ----------------------------------------------------------------------------------------


async def test_usage_outlives_the_daemon(tmp_path):
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            running = await start_daemon(nursery, tmp_path)
            await post(running, HELLO)
            await last_of(running, "done")
            if not tmp_path.joinpath("seen").exists():
                tmp_path.joinpath("seen").touch()
                nursery.cancel_scope.cancel()
                continue
            await running.sign_in("work@example.com")
            await running.call("accounts.switch", account="work@example.com")
            await post(running, {**HELLO, "model": "claude-haiku-4-5"})
            by_model = await running.call("usage.summary")
            by_account = await running.call("usage.summary", by="account")
            await running.call("accounts.remove", account="work@example.com")
            removed = await running.call("usage.summary", by="account")
            none = await running.call("usage.summary", by="day", since=4e9)
            status = await running.call("daemon.status")
            nursery.cancel_scope.cancel()
    assert {row["name"]: row["requests"] for row in by_model["rows"]} == {"gpt-5.5": 2, "gpt-6-luna": 1}
    assert by_model["total"]["requests"] == 3
    assert by_model["total"]["input_tokens"] > 0
    assert {row["name"]: row["requests"] for row in by_account["rows"]} == {
        "simulated@example.com (simulated)": 2,
        "work@example.com (simulated)": 1,
    }
    assert "work@example.com" not in json.dumps(removed)
    assert (none["rows"], none["since"]) == ([], None)
    assert "usage history" in {task["name"] for task in status["tasks"]}
    assert b"example.com" not in (tmp_path / "usage.sqlite3").read_bytes()


async def test_a_history_that_cant_be_read_is_a_problem_in_the_status(nursery, tmp_path):
    (tmp_path / "usage.sqlite3").write_bytes(b"nonsense" * 1000)
    running = await start_daemon(nursery, tmp_path)
    await running.call("usage.summary")
    (problem,) = (await running.call("daemon.status"))["problems"]
    assert "usage.sqlite3.unreadable" in problem
