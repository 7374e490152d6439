"""Which account answers, over real sockets: personal mode, the strategies, limits, and switching."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from support.harness import HELLO, Running, post, read_events, start_daemon, text_of

from codexd.api.records import LogFilter

ANN, BOB, CID = "simulated@example.com", "bob@example.com", "cid@example.com"
RATE_LIMIT = {"code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again in 0.2s."}
LONG_RATE_LIMIT = {"code": "rate_limit_exceeded", "message": "Rate limit reached. Please try again in 11s."}
SHORT = {"error": {"status": 429, "body": {"error": RATE_LIMIT}}}
LONG = {"error": {"status": 429, "body": {"error": LONG_RATE_LIMIT}}}
REJECTED = {"error": {"status": 401, "body": {"error": {"code": "token_invalidated", "message": "invalidated"}}}}


async def sign_in(running: Running, email: str) -> None:
    file = Path(running.places.state_dir) / "imported.json"
    file.write_text(json.dumps(running.simulator.sign_in(email)))
    await running.call("accounts.import", source=str(file))
    file.unlink()


async def start(nursery, tmp_path, strategy=None, accounts=(BOB,)):
    """A daemon with ``ANN`` active and others signed in; in personal mode without a strategy."""
    environ = {"CODEXD_ROTATION_ENABLED": "true", "CODEXD_ROTATION_STRATEGY": strategy} if strategy else {}
    running = await start_daemon(nursery, tmp_path, environ=environ)
    for email in accounts:
        await sign_in(running, email)
    return running


async def ask(running, session="s1", **fields):
    return await post(running, {**HELLO, **fields}, x_claude_code_session_id=session)


def accounts_asked(running):
    return [request.headers["authorization"].split()[-1] for request in running.asked]


async def reason_of(running, response):
    """Why the account was chosen; the request is logged a moment after its answer arrived."""
    with trio.fail_after(5):
        while True:
            for entry in running.logs.history(LogFilter()):
                if entry.logger == "codexd.request" and entry.request == response.headers["request-id"]:
                    return entry.fields["account_reason"]
            await trio.sleep(0.01)


def words(response):
    return response.json()["error"]["message"]


# -- personal mode --------------------------------------------------------------------------------


async def test_personal_mode_passes_the_limit_of_the_active_account_on_and_uses_no_other(nursery, tmp_path):
    running = await start(nursery, tmp_path)
    running.simulator.set_used(ANN, "primary", 100)
    response = await ask(running)
    assert (response.status_code, response.headers["x-should-retry"]) == (429, "false")
    assert int(response.headers["retry-after"]) > 17_000
    assert "available again in" in words(response)
    assert await reason_of(running, response) == "active account"
    assert accounts_asked(running) == [ANN]


async def test_personal_mode_asks_upstream_again_whatever_the_cooldown_says(nursery, tmp_path):
    running = await start(nursery, tmp_path, accounts=())
    running.simulator.set_used(ANN, "secondary", 100)
    assert (await ask(running)).status_code == 429
    running.simulator.set_used(ANN, "secondary", 10)
    assert (await ask(running)).status_code == 200


@pytest.mark.parametrize(("replies", "status"), [((SHORT,), 200), ((SHORT, SHORT), 429), ((LONG,), 429)])
async def test_a_short_limit_is_waited_for_once_and_a_long_one_passed_on(nursery, tmp_path, replies, status):
    running = await start(nursery, tmp_path)
    running.load(*replies)
    response = await ask(running)
    assert response.status_code == status
    assert accounts_asked(running) == [ANN] * min(2, len(replies) + (status == 200))
    if status == 429:
        assert "x-should-retry" not in response.headers
        assert response.headers["retry-after"] == ("11" if replies == (LONG,) else "1")


async def test_a_switch_is_for_the_next_request_and_the_stream_in_flight_finishes(nursery, tmp_path):
    running = await start(nursery, tmp_path)
    running.load({"output": [{"reasoning": {}}, {"text": "from ann"}], "hold": "switched", "after_items": 1})
    asked = {"thinking": {"type": "adaptive", "display": "omitted"}, "stream": True}
    answers = []

    async def ask_ann():
        answers.append(await ask(running, **asked))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask_ann)
        with trio.fail_after(5):
            while not running.asked:
                await trio.sleep(0.01)
        await running.call("accounts.switch", account=BOB)
        assert (await ask(running, "other")).status_code == 200
        running.simulator.release("switched")
    events = read_events(answers[0].text)
    assert text_of(events) == "from ann"
    assert accounts_asked(running) == [ANN, BOB]
    signature = next(event["delta"]["signature"] for event in events if "signature" in event.get("delta", {}))
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": signature}]}
    turns = [*HELLO["messages"], thought, {"role": "user", "content": "go on"}]
    assert (await ask(running, messages=turns)).status_code == 200
    assert accounts_asked(running)[-1] == BOB
    assert all(item["type"] != "reasoning" for item in running.asked[-1].body["input"])


async def test_a_dry_run_tells_what_a_switch_would_cost_and_changes_nothing(nursery, tmp_path):
    running = await start(nursery, tmp_path)
    running.load({"output": [{"reasoning": {}}, {"text": "one"}]})
    thinking = {"type": "adaptive", "display": "omitted"}
    first = (await ask(running, thinking=thinking)).json()
    turns = [*HELLO["messages"], {"role": "assistant", "content": first["content"]}, {"role": "user", "content": "go"}]
    usage = (await ask(running, thinking=thinking, messages=turns)).json()["usage"]
    read = usage["input_tokens"] + usage["cache_read_input_tokens"]
    told = await running.call("accounts.switch", account=BOB, dry_run=True)
    assert told["cost"] == {"sessions": 1, "reasoning_items": 1, "tokens": read}
    assert (await running.call("accounts.switch", account=ANN, dry_run=True))["cost"]["sessions"] == 0
    await ask(running, "s2")
    assert accounts_asked(running) == [ANN] * 3


async def test_a_disabled_active_account_says_how_to_enable_it(nursery, tmp_path):
    running = await start(nursery, tmp_path)
    await running.call("accounts.disable", account=ANN)
    response = await ask(running)
    assert response.status_code == 401
    assert f"codexctl accounts enable {ANN}" in words(response)


async def test_an_account_that_is_removed_while_its_token_is_refreshed_makes_way(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    await running.let_token_expire()
    running.simulator.load_token_replies({"hold": "removed"})
    answers = []

    async def ask_once():
        answers.append(await ask(running))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask_once)
        with trio.fail_after(5):
            while not running.refreshes:
                await trio.sleep(0.01)
        await running.call("accounts.remove", account=ANN)
        running.simulator.release("removed")
    assert answers[0].status_code == 200
    assert accounts_asked(running) == [BOB]


# -- strategies -----------------------------------------------------------------------------------


async def test_sticky_stays_until_the_limit_and_then_moves_the_session_on(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky", (BOB, CID))
    answers = [await ask(running), await ask(running)]
    running.simulator.set_used(ANN, "primary", 100)
    answers += [await ask(running), await ask(running), await ask(running, "s2")]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [await reason_of(running, answer) for answer in answers] == [
        "sticky",
        "used by this session",
        f"tried after {ANN} (simulated): usage limit reached",
        "used by this session",
        "sticky",
    ]
    assert accounts_asked(running) == [ANN, ANN, ANN, BOB, BOB, BOB]


async def test_round_robin_gives_new_sessions_their_turn_and_old_ones_their_account(nursery, tmp_path):
    running = await start(nursery, tmp_path, "round-robin", (BOB, CID))
    for session in ("s1", "s2", "s1", "s3", "s2", "s4"):
        assert (await ask(running, session)).status_code == 200
    assert accounts_asked(running) == [ANN, BOB, ANN, CID, BOB, ANN]


async def test_every_model_of_a_session_goes_to_its_account(nursery, tmp_path):
    running = await start(nursery, tmp_path, "round-robin")
    for model in ("claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5"):
        assert (await ask(running, model=model)).status_code == 200
    assert set(accounts_asked(running)) == {ANN}


async def test_most_remaining_puts_a_new_session_where_most_is_left(nursery, tmp_path):
    running = await start(nursery, tmp_path, "most-remaining")
    running.simulator.set_used(ANN, "secondary", 60)
    running.simulator.set_used(BOB, "primary", 30)
    for session in ("s1", "s2", "s3"):  # both unknown; ann known to be at 60; bob known to be at 30
        response = await ask(running, session)
        assert await reason_of(running, response) == "most remaining"
    assert accounts_asked(running) == [ANN, BOB, BOB]


async def test_a_switch_takes_the_sessions_along_under_rotation_too(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky", (BOB, CID))
    await ask(running)
    await running.call("accounts.switch", account=CID)
    await ask(running)
    await ask(running, "s2")
    assert accounts_asked(running) == [ANN, CID, CID]


async def test_a_disabled_account_is_left_out(nursery, tmp_path):
    running = await start(nursery, tmp_path, "round-robin", (BOB, CID))
    await running.call("accounts.disable", account=BOB)
    for session in ("s1", "s2", "s3"):
        await ask(running, session)
    assert accounts_asked(running) == [ANN, CID, ANN]


# -- limits under rotation ------------------------------------------------------------------------


async def test_when_all_are_limited_one_429_says_which_opens_when_and_none_is_asked_again(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    running.simulator.set_used(ANN, "secondary", 100)
    running.simulator.set_used(BOB, "primary", 100)
    for _ in range(2):
        response = await ask(running)
        assert (response.status_code, response.headers["x-should-retry"]) == (429, "false")
        assert response.json()["error"]["type"] == "rate_limit_error"
        assert f"{ANN} (simulated) is available again in 7 d 0 h" in words(response)
        assert f"{BOB} (simulated) is available again in 5 h 0 min" in words(response)
        assert 17_000 < int(response.headers["retry-after"]) <= 18_000
    assert accounts_asked(running) == [ANN, BOB]


async def test_a_short_limit_keeps_the_session_and_the_second_one_moves_it_on(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    running.load(SHORT, {"output": [{"text": "fine"}]}, SHORT, SHORT, {"output": [{"text": "moved"}]})
    assert (await ask(running)).json()["content"][0]["text"] == "fine"
    assert (await ask(running)).json()["content"][0]["text"] == "moved"
    assert accounts_asked(running) == [ANN, ANN, ANN, ANN, BOB]


async def test_a_longer_limit_moves_on_at_once(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    running.load(LONG)
    assert (await ask(running)).status_code == 200
    assert accounts_asked(running) == [ANN, BOB]


async def test_a_limit_inside_the_stream_moves_on_before_anything_has_gone_out(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    used_up = {"code": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}
    running.load({"failed": used_up}, {"output": [{"text": "from bob"}]})
    assert text_of(read_events((await ask(running, stream=True)).text)) == "from bob"
    assert accounts_asked(running) == [ANN, BOB]


async def test_a_limit_after_content_ends_the_stream_and_the_next_request_moves_on(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    used_up = {"code": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}
    running.load({"output": [{"text": "begun"}], "failed": used_up, "after_items": 1})
    events = read_events((await ask(running, stream=True)).text)
    assert (text_of(events), events[-1]["error"]["type"]) == ("begun", "rate_limit_error")
    assert (await ask(running)).status_code == 200
    assert accounts_asked(running) == [ANN, BOB]


async def test_the_limit_of_one_model_leaves_the_others_open(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    headers = {
        "x-codex-active-limit": "codex_bengalfox",
        "x-codex-bengalfox-primary-used-percent": "100",
        "x-codex-bengalfox-primary-window-minutes": "300",
        "x-codex-bengalfox-primary-reset-after-seconds": "7200",
    }
    used_up = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 7200}
    running.load({"error": {"status": 429, "body": {"error": used_up}, "headers": headers}, "times": 2})
    response = await ask(running)
    assert response.status_code == 429
    assert f"{ANN} (simulated) is available again for gpt-5.5 in 2 h 0 min" in words(response)
    assert (await ask(running, model="gpt-6-luna")).status_code == 200
    assert accounts_asked(running) == [ANN, BOB, BOB]


# -- other failures under rotation ----------------------------------------------------------------


async def test_a_login_that_stays_refused_moves_on(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    running.load({**REJECTED, "times": 2})
    response = await ask(running)
    assert response.status_code == 200
    assert accounts_asked(running) == [ANN, ANN, BOB]
    assert await reason_of(running, response) == f"tried after {ANN} (simulated): needs a new login"


async def test_a_dead_login_moves_on_and_is_left_out_from_then_on(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    running.simulator.oauth.revoke(ANN)
    for _ in range(2):
        assert (await ask(running)).status_code == 200
    assert accounts_asked(running) == [ANN, BOB, BOB]
    running.simulator.oauth.revoke(BOB)
    response = await ask(running)
    assert response.status_code == 401
    assert "codexctl accounts add" in words(response)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"error": {"status": 402, "body": {"detail": {"code": "deactivated_workspace"}}}}, 402),
        ({"error": {"status": 403, "body": {"detail": {"code": "invalid_workspace_selected"}}}}, 403),
    ],
)
async def test_a_refused_plan_or_workspace_moves_on_and_is_passed_on_by_the_last(nursery, tmp_path, reply, status):
    running = await start(nursery, tmp_path, "sticky")
    running.load(reply, {"output": [{"text": "fine"}]}, {**reply, "times": 2})
    assert (await ask(running)).status_code == 200
    assert (await ask(running)).status_code == status
    assert accounts_asked(running) == [ANN, BOB, BOB, ANN]


async def test_a_model_that_one_account_does_not_serve_is_asked_of_the_next(nursery, tmp_path):
    running = await start(nursery, tmp_path, "sticky")
    assert (await ask(running, model="gpt-5")).status_code == 404
    assert accounts_asked(running) == [ANN, BOB]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"failed": {"code": "server_is_overloaded", "message": "busy"}}, 529),
        ({"failed": {"code": "server_error", "message": "oops"}}, 502),
    ],
)
async def test_the_backends_own_trouble_does_not_move_on(nursery, tmp_path, reply, status):
    running = await start(nursery, tmp_path, "sticky")
    running.load(reply)
    assert (await ask(running)).status_code == status
    assert accounts_asked(running) == [ANN]


@pytest.mark.parametrize("code", ["token_expired", "invalid_encrypted_content"])
async def test_once_content_has_gone_out_nothing_is_tried_again(nursery, tmp_path, code):
    running = await start(nursery, tmp_path, "sticky")
    running.load({"output": [{"text": "begun"}], "failed": {"code": code, "message": "no"}, "after_items": 1})
    events = read_events((await ask(running, stream=True)).text)
    assert (text_of(events), events[-1]["type"]) == ("begun", "error")
    assert accounts_asked(running) == [ANN]
