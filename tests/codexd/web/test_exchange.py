"""What holds for a streamed answer in any API."""

from __future__ import annotations

import httpx
import pytest
from support.chat_bodies import ask
from support.harness import HELLO, start_daemon
from support.responses_bodies import sdk

from codexd.web.exchange import read_client_name

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
                told += text
                if '"finish_reason":"stop"' in text or last in text:
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
