"""The simulated backend's compact route."""

from __future__ import annotations

import pytest
from support.simulator_bench import BODY, open_bench

PATH = "/backend-api/codex/responses/compact"
COMPACT = {name: value for name, value in BODY.items() if name not in ("store", "stream", "include")} | {
    "instructions": ""
}


async def post(bench, body):
    return await bench.http.post(PATH, json=body, headers=bench.headers)


async def test_the_users_messages_stay_and_one_item_stands_for_the_rest() -> None:
    async with open_bench() as bench:
        answer = await post(bench, COMPACT)
        output = answer.json()["output"]
        assert output[:-1] == [item for item in COMPACT["input"] if item["role"] == "user"]
        assert output[-1]["type"] == "compaction"
        assert answer.headers["x-codex-plan-type"]
        assert (await bench.post(input=output)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"stream": True}, "Unsupported parameter: stream"),
        ({"store": False}, "Unsupported parameter: store"),
        ({"instructions": None}, "Instructions are required"),
        ({"input": "x"}, "Input must be a list"),
    ],
)
async def test_what_it_refuses(changes, detail) -> None:
    async with open_bench() as bench:
        answer = await post(bench, COMPACT | changes)
        assert (answer.status_code, answer.json()) == (400, {"detail": detail})


async def test_no_json_is_a_bad_request() -> None:
    async with open_bench() as bench:
        answer = await bench.http.post(PATH, content=b"x", headers=bench.headers)
        assert (answer.status_code, answer.json()) == (400, {"detail": "Bad Request"})
