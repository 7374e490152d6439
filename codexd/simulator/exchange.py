"""One request and the ways to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import frozen

from codexd.jsontext import loads
from codexd.simulator.records import Outcome, Request, redact_form
from codexd.simulator.refusals import Refusal
from codexd.simulator.wire import Receive, Send, send_json, send_refusal, send_whole


@frozen
class Exchange:
    """One request and the way back to its client. ``issuer`` is the base URL under which it came in."""

    request: Request
    raw: bytes
    receive: Receive
    send: Send

    @property
    def issuer(self) -> str:
        return f"http://{self.request.headers.get('host', '')}"

    @property
    def is_json(self) -> bool:
        return "json" in self.request.headers.get("content-type", "")

    def read_json(self) -> Any:
        """The body, and a note of it in the record; None if it is no JSON."""
        try:
            body = loads(self.raw)
        except ValueError:
            return None
        self.request.body = body if isinstance(body, dict) else None
        return body

    def read_form(self) -> dict[str, Any]:
        """A sign-in form, sent as JSON or URL-encoded; both are taken. The record gets it without its secrets."""
        if self.is_json:
            body = self.read_json()
            form = body if isinstance(body, dict) else {}
        else:
            form = dict(parse_qsl(self.raw.decode("utf-8", "replace"), keep_blank_values=True))
        self.request.body = redact_form(form)
        return form

    async def answer(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        await send_json(self.send, self.request, value, headers)

    async def answer_unchanged(self, headers: Mapping[str, str]) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 304, b"", headers)

    async def reply(self, value: dict[str, Any] | Refusal) -> None:
        """The answer or the refusal, whichever it is."""
        if isinstance(value, Refusal):
            await self.refuse(value)
        else:
            await self.answer(value)

    async def show(self, page: str, headers: Mapping[str, str]) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 200, page.encode(), headers)

    async def redirect(self, url: str) -> None:
        self.request.finish(Outcome.COMPLETED)
        await send_whole(self.send, self.request, 302, b"", {"location": url, "cache-control": "no-store"})

    async def refuse(self, refusal: Refusal) -> None:
        await send_refusal(self.send, self.request, refusal)
