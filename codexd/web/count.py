"""``POST`` of a request whose tokens are only to be counted: works without an account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio
from attrs import field, frozen

from codexd.translation.client_api import ClientRequest
from codexd.turns.turn import TurnRunner
from codexd.web.http import Receive, Request, Send, read_body, send_json


@frozen
class CountRoute:
    """``parse`` reads the request of one API; ``more`` is what its answer says besides."""

    turns: TurnRunner
    parse: Callable[[bytes], ClientRequest]
    more: Mapping[str, Any] = field(factory=dict)

    async def answer(self, request: Request, receive: Receive, send: Send) -> None:
        wanted = self.parse(await read_body(request, receive))
        tokens = await trio.to_thread.run_sync(self.turns.count_input, wanted)
        await send_json(send, 200, {**self.more, "input_tokens": tokens})
