"""A simulated backend on a port of its own, and a client that is signed in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
from attrs import define

from codexd.jsontext import loads
from codexd.simulator.app import Simulator, serve_simulator
from codexd.simulator.credentials import CLIENT_ID
from codexd.simulator.faults import parse_plan
from codexd.simulator.options import Options

BODY: dict[str, Any] = {
    "model": "gpt-5.5",
    "instructions": "",
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
}


@define
class Bench:
    simulator: Simulator
    http: httpx.AsyncClient
    tokens: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.tokens['access_token']}",
            "chatgpt-account-id": self.tokens["account_id"],
            "version": "0.171.0",
        }

    async def post(self, **changes: Any) -> httpx.Response:
        return await self.http.post("/backend-api/codex/responses", json={**BODY, **changes}, headers=self.headers)

    async def refresh(self) -> httpx.Response:
        form = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"]}
        return await self.http.post("/oauth/token", json=form)


@asynccontextmanager
async def open_bench(faults: str | None = None, **options: Any) -> AsyncIterator[Bench]:
    plan = parse_plan(faults) if faults is not None else None
    simulator = Simulator(options=Options(**options), faults=plan)
    tokens = simulator.sign_in()["tokens"]
    async with trio.open_nursery() as nursery:
        base = await nursery.start(serve_simulator, simulator)
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            yield Bench(simulator, http, tokens)
        nursery.cancel_scope.cancel()


def read_events(text: str) -> list[dict[str, Any]]:
    return [loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
