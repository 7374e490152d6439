"""One turn of the chaos run: what is asked, and in which API. Pure.

Every turn has a marker, a word that nobody can guess. The simulator repeats it many times in its answer, in pieces, so
that an answer that is cut, mixed up or another turn's is recognised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from attrs import frozen

MOST_WORDS = 40
PIECE_BYTES = 100


WITH_TOOL = 0.3
"""How many turns offer a tool."""

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"name": "echo", "description": "Say it", "input_schema": SCHEMA},
    "/v1/chat/completions": {"type": "function", "function": {"name": "echo", "parameters": SCHEMA}},
    "/v1/responses": {"type": "function", "name": "echo", "parameters": SCHEMA},
}
"""The tool ``echo`` in each API, by path."""


@frozen
class Turn:
    """A request, and what it must be answered with."""

    kind: str
    marker: str
    text: str
    path: str
    body: dict[str, Any] | None

    @property
    def calls(self) -> bool:
        """Whether the answer is a call of the tool ``echo``, with the text as its argument."""
        return self.body is not None and "tools" in self.body

    def encode(self) -> bytes:
        """The request as it goes over the socket."""
        if self.body is None:
            return f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        content = json.dumps(self.body).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    def encode_in_chunks(self) -> list[bytes]:
        """The same with a body whose length is not known at first, in the pieces in which it is sent."""
        if self.body is None:
            return [self.encode()]
        content = json.dumps(self.body).encode()
        pieces = [content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)]
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        return [head.encode(), *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


def make_turn(rng: random.Random) -> Turn:
    kind = rng.choices(list(MAKERS), weights=[weight for weight, _ in MAKERS.values()])[0]
    marker = f"mk{rng.getrandbits(64):016x}"
    words = " ".join(f"{marker}.{number}" for number in range(rng.randint(1, MOST_WORDS)))
    path, body = MAKERS[kind][1](f"Repeat after me: {words}")
    if body is not None and path in TOOLS and rng.random() < WITH_TOOL:
        body["tools"] = [TOOLS[path]]
    return Turn(kind, marker, words, path, body)


def _messages(text: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    body = {"model": "claude-sonnet-5-5", "max_tokens": 60_000, "messages": [{"role": "user", "content": text}]}
    return "/v1/messages", {**body, "stream": stream}


def _chat(text: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {
        "model": "gpt-5.5",
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }


def _responses(text: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": "gpt-5.5", "stream": stream, "input": text}


MAKERS: dict[str, tuple[int, Callable[[str], tuple[str, dict[str, Any] | None]]]] = {
    "messages stream": (20, lambda text: _messages(text, stream=True)),
    "messages whole": (12, lambda text: _messages(text, stream=False)),
    "chat stream": (14, lambda text: _chat(text, stream=True)),
    "chat whole": (12, lambda text: _chat(text, stream=False)),
    "responses stream": (14, lambda text: _responses(text, stream=True)),
    "responses whole": (12, lambda text: _responses(text, stream=False)),
    "compact": (
        3,
        lambda text: ("/v1/responses/compact", {"model": "gpt-5.5", "input": [{"role": "user", "content": text}]}),
    ),
    "count": (5, lambda text: ("/v1/messages/count_tokens", _messages(text, stream=False)[1] | {"max_tokens": 1})),
    "count input": (2, lambda text: ("/v1/responses/input_tokens", {"model": "gpt-5.5", "input": text})),
    "models": (4, lambda _: ("/v1/models", None)),
    "health": (2, lambda _: ("/health", None)),
}
"""The kinds of turn: how often, and the path and body for a text."""
