"""What holds for a streamed answer in any API."""

from __future__ import annotations

import httpx
import pytest
import trio
from support.chat_bodies import ask
from support.harness import HELLO, post, start_daemon
from support.responses_bodies import sdk

from codexd.jsontext import dumps
from codexd.record.requests import RequestLog
from codexd.record.snapshot import StepName
from codexd.translation.messages.request import parse
from codexd.turns.turn import Turn
from codexd.web.exchange import WholeSink, read_client_name, watch_silence

ENDING = {"type": "response.completed", "response": {"id": "resp_1", "output": [], "usage": {"output_tokens": 7}}}
DELTA = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": "all of it"}


@pytest.mark.parametrize(
    ("path", "body", "last"),
    [
        ("/v1/chat/completions", ask(stream=True), "[DONE]"),
        ("/v1/responses", sdk(stream=True), '"type":"response.completed"'),
        ("/v1/messages", {**HELLO, "stream": True}, '"type":"message_stop"'),
    ],
)
async def test_an_answer_that_is_whole_is_not_ended_by_an_error(nursery, tmp_path, path, body, last):
    """It is cancelled while the backend has not ended its body yet."""
    running = await start_daemon(nursery, tmp_path)
    running.load({"events": [DELTA, ENDING], "hold": "never", "after_events": 2})
    told = ""
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        async with client.stream("POST", path, json=body) as response:
            async for text in response.aiter_text():
                is_cancelled = '"finish_reason":"stop"' in told or last in told
                told += text
                if not is_cancelled and ('"finish_reason":"stop"' in told or last in told):
                    await running.call("requests.cancel", id=response.headers["request-id"])
    assert last in told.rstrip().rpartition("\n")[2]
    assert "error" not in await running.request_fields()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("claude-cli/2.1.330 (external, cli)", "claude-cli/2.1.330"),
        ("OpenAI/Python 3.57.0", "OpenAI/Python"),
        ("Codex Desktop/0.171.0 (Debian 12.0.0; x86_64) unknown (Codex Desktop; 26.1)", "Codex Desktop/0.171.0"),
        ("curl", "curl"),
        ("some thing (with/notes)", "some"),
        ("", "unknown"),
        ("a\x07b/1", "unknown"),
        (f"{'n' * 100}/1", "n" * 60),
    ],
)
def test_the_name_of_a_client(agent, name):
    assert read_client_name({"user-agent": agent}) == name


PAGE = {"error": {"status": 403, "body": "<html>Just a moment</html>"}}
REGION = {"error": {"status": 401, "body": {"detail": "Workspace is not authorized in this region."}}}
COUNTRY = {"error": {"status": 403, "body": {"error": {"code": "unsupported_country_region_territory"}}}}
CREDITS = {
    "error": {
        "status": 429,
        "body": {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}},
        "headers": {"x-codex-rate-limit-reached-type": "workspace_member_credits_depleted"},
    }
}
BUSY = {"error": {"status": 529, "body": {"error": {"message": "Too busy", "type": "server_error"}}}}
GONE = {"error": {"status": 404, "body": {"detail": "Not Found"}}}
CLAUDE_CODE, CODEX_CLI = (
    {"user_agent": "claude-cli/2.1.332"},
    {"user_agent": "codex_cli_rs/0.171.0", "originator": "codex_cli_rs"},
)
APIS = {
    "anthropic": ("/v1/messages", HELLO, {}),
    "claude code": ("/v1/messages", HELLO, CLAUDE_CODE),
    "chat": ("/v1/chat/completions", ask(), {}),
    "responses": ("/v1/responses", sdk(), {}),
    "codex": ("/v1/responses", sdk(), CODEX_CLI),
}


@pytest.mark.parametrize("api", APIS)
async def test_what_cloudflare_blocks_once_is_answered(nursery, tmp_path, api):
    running = await start_daemon(nursery, tmp_path)
    running.load(PAGE)
    path, body, headers = APIS[api]
    assert (await post(running, body, path, **headers)).status_code == 200
    assert len(running.asked) == 2


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("reply", "attempts", "statuses", "words"),
    [
        (PAGE, 2, (403, 424, 403, 403, 400), "try without a VPN"),
        (REGION, 1, (403, 424, 403, 403, 400), "a new one will not help"),
        (COUNTRY, 1, (403, 424, 403, 403, 400), "does not serve the country"),
        (CREDITS, 1, (402, 402, 429, 429, 400), "does not say until when"),
        (BUSY, 1, (529, 529, 503, 503, 503), "Too busy"),
        (GONE, 1, (404, 424, 404, 404, 400), "Not Found"),
    ],
    ids=["cloudflare", "region", "country", "credits", "busy", "gone"],
)
async def test_each_client_is_told_what_it_can_do(nursery, tmp_path, reply, attempts, statuses, words, streams):
    running = await start_daemon(nursery, tmp_path)
    for (path, body, headers), status in zip(APIS.values(), statuses, strict=True):
        before = len(running.asked)
        running.load({**reply, "times": 9})
        response = await post(running, {**body, "stream": streams}, path, **headers)
        assert (response.status_code, len(running.asked) - before) == (status, attempts)
        assert words in response.text
        assert (response.headers.get("x-should-retry") == "false") == (status < 500 and reply is not GONE)
    assert running.refreshes == 0
    (account,) = (await running.call("accounts.list"))["accounts"]
    assert account["state"] == ("limited" if reply is CREDITS else "ok")


async def test_a_backend_that_stays_silent_is_final_the_second_time(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_UPSTREAM_FIRST_EVENT_TIMEOUT": "0.2"})
    running.load({"output": [{"text": "late"}], "delay_s": 60.0, "times": 0})
    first, second = [await post(running, HELLO, **CLAUDE_CODE) for _ in range(2)]
    assert (first.status_code, first.headers.get("x-should-retry")) == (504, None)
    assert (second.status_code, second.headers.get("x-should-retry")) == (424, "false")
    assert "has sent nothing for 0.2 s (setting upstream.first_event_timeout)" in second.json()["error"]["message"]
    other = {**HELLO, "messages": [{"role": "user", "content": "another conversation"}]}
    assert (await post(running, other)).status_code == 504


async def test_a_silent_backend_is_logged_and_marked_each_minute(autojump_clock, caplog):
    requests = RequestLog(trio.current_time, lambda: 1_800_000_000.0)
    with requests.record("req_1", "POST", "/v1/messages", "some") as record:
        turn = Turn(parse(dumps(HELLO), {}), "req_1", record, WholeSink(collector=None))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_silence, record, turn)
            await trio.sleep(100)
            assert record.info.silent_since is None
            record.note_asked("gpt-5.5", lambda: 0)
            await trio.sleep(59)
            assert record.info.silent_since is None
            await trio.sleep(90)
            assert record.info.silent_since == 1_800_000_100.0
            record.note_headers(200, {})
            assert record.info.silent_since is None
            nursery.cancel_scope.cancel()
    notes = [step.note for step in record.snapshot().steps if step.name is StepName.SILENT]
    assert len(notes) == 2
    assert "waiting for the backend, silent for" in caplog.text
    assert record.info.silent_since is None
