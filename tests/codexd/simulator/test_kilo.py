"""The simulated Kilo gateway: what it refuses, and what a reply becomes on the wire."""

from __future__ import annotations

from typing import Any

import cattrs
import pytest
from support.simulator_bench import open_bench

from codexd.simulator.kilo import FREE_MODEL, PAID_MODEL, PATH

BODY = {"model": FREE_MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}


async def post(bench: Any, **changes: Any) -> Any:
    return await bench.http.post(f"{PATH}/chat/completions", json=BODY | changes)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"store": False}, 400, "Unknown fields: store"),
        ({"stream": False}, 400, "This simulation only streams"),
        ({"model": "gpt-5.5"}, 404, "gpt-5.5 is not a valid model ID"),
        ({"model": PAID_MODEL}, 401, "You need to sign in to use this model."),
        ({"reasoning": {"effort": "max"}}, 400, "reasoning.effort: max"),
        ({"messages": []}, 400, "messages: at least one is required"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, 400, "calls ['call_1'] are not answered"),
        ({"tool_choice": "auto"}, 400, "tool_choice without tools"),
    ],
)
async def test_what_it_refuses(changes: dict[str, Any], status: int, message: str) -> None:
    async with open_bench() as bench:
        response = await post(bench, **changes)
        assert (response.status_code, response.json()["error"]["message"]) == (status, message)


async def test_a_reply_is_streamed_in_pieces() -> None:
    async with open_bench() as bench:
        bench.simulator.kilo.load({"reasoning": "hm", "text": "yes", "calls": [{"name": "ls", "arguments": "{}"}]})
        lines = (await post(bench)).text.split("\n\n")
        assert lines[0] == ": OPENROUTER PROCESSING"
        assert '"content":"ye"' in lines[4]
        assert '"finish_reason":"tool_calls"' in lines[-4]
        assert lines[-2] == "data: [DONE]"
        with pytest.raises(cattrs.BaseValidationError):
            bench.simulator.kilo.load({"words": "x"})
