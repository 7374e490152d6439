"""How the simulated backend compacts a conversation."""

from __future__ import annotations

import pytest
from support.simulator_bench import BODY, open_bench, read_events

TRIGGER = {"type": "compaction_trigger"}
BETA = {"x-codex-beta-features": "other, remote_compaction_v2"}


async def post(bench, items, headers=BETA, path="/backend-api/codex/responses"):
    return await bench.http.post(path, json={**BODY, "input": items}, headers=bench.headers | headers)


async def test_one_item_stands_for_the_conversation() -> None:
    async with open_bench() as bench:
        answer = await post(bench, [*BODY["input"], TRIGGER])
        events = read_events(answer.text)
        [done] = [event for event in events if event["type"] == "response.output_item.done"]
        assert done["item"]["type"] == "compaction"
        assert events[-1]["response"]["output"] == []
        assert (await post(bench, [*BODY["input"], done["item"]])).status_code == 200


@pytest.mark.parametrize(
    ("items", "headers", "param"),
    [([TRIGGER, *BODY["input"]], BETA, "input"), ([*BODY["input"], TRIGGER], {}, "input")],
)
async def test_what_it_refuses(items, headers, param) -> None:
    async with open_bench() as bench:
        answer = await post(bench, items, headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_the_old_route_is_gone() -> None:
    async with open_bench() as bench:
        answer = await post(bench, BODY["input"], path="/backend-api/codex/responses/compact")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
