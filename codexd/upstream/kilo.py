"""Kilo's gateway over HTTP: the third party that the model name ``kilo`` leads to, and nothing else.

What goes there is a request's own words, and our name. No key and no login: the gateway serves free models to whoever
asks (kilo.ai/docs/gateway/authentication, "Anonymous access"). The HTTP client is one of its own, so that no header,
cookie or connection of the ChatGPT backend can get there.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx
import trio
from attrs import frozen

from codexd import jsontext
from codexd.errors import UpstreamError, UpstreamFailed
from codexd.settings.schema import Settings, UpstreamSettings
from codexd.translation.kilo.errors import read_http_error
from codexd.translation.kilo.models import FreeModel, read_free_models
from codexd.translation.kilo.stream import ChatReader
from codexd.upstream.http import EventSource, Progress, fetch, open_answer, open_client

NAME = "the third party"
"""What errors call it."""

FRESH_S = 3600.0
"""How long a list of models counts as new."""

LIST_TIMEOUT_S = 20.0
MAX_LIST_BYTES = 32 * 1024 * 1024


def open_kilo_client(settings: UpstreamSettings, *, trust_env: bool = True, tls: ssl.SSLContext) -> httpx.AsyncClient:
    """An HTTP client that sends our name, and keeps no cookies."""
    client = open_client(settings, trust_env=trust_env, tls=tls)
    del client.headers["originator"]
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return client


@frozen
class KiloBackend:
    """``http``: of ``open_kilo_client``; ``settings`` gives those that hold now, ``clock`` seconds since the epoch."""

    http: httpx.AsyncClient
    settings: Callable[[], Settings]
    clock: Callable[[], float]

    @property
    def host(self) -> str:
        return httpx.URL(self.settings().kilo.url).host

    @asynccontextmanager
    async def respond(
        self, chat: Mapping[str, Any], body: Mapping[str, Any], progress: Progress
    ) -> AsyncIterator[EventSource]:
        """Send ``chat``, made of ``body``, and give the events of the answer; leaving the context closes it.

        Raises:
            UpstreamError: Kilo refused, or could not be reached.
        """
        host, idle_s = self.host, self.settings().upstream.idle_timeout
        request = self.http.build_request(
            "POST",
            self._url("/chat/completions"),
            content=jsontext.dumps(chat),
            headers={
                "content-type": "application/json",
                "accept": "text/event-stream",
                "accept-encoding": "identity",
            },
        )
        async with open_answer(self.http, request, progress, timeout_s=idle_s, name=NAME) as answer:
            if answer.status != 200 or answer.is_json:
                refusal = await answer.read_error_body()
                raise read_http_error(
                    answer.status, answer.headers, refusal, host=host, model=chat["model"], now=self.clock()
                )
            yield EventSource(answer.chunks, idle_s, ChatReader(body, chat["model"], host), name=host)

    async def fetch_models(self) -> tuple[FreeModel, ...]:
        """The free models.

        Raises:
            UpstreamError: there is no usable answer.
        """
        host = self.host
        request = self.http.build_request("GET", self._url("/models"), headers={"accept": "application/json"})
        answer = await fetch(self.http, request, timeout_s=LIST_TIMEOUT_S, max_bytes=MAX_LIST_BYTES, name=NAME)
        if answer.status != 200:
            raise UpstreamFailed(f"{host} answered HTTP {answer.status} when asked for its models")
        try:
            document = jsontext.loads_shallow(answer.body)
        except ValueError:
            raise UpstreamFailed(f"{host} sent a list of models that is not JSON", status=200) from None
        return read_free_models(document)

    def _url(self, path: str) -> str:
        return f"{self.settings().kilo.url.rstrip('/')}{path}"


@frozen
class ModelList:
    """``fetched_at`` in seconds since the epoch; ``problem``: why there is nothing newer."""

    models: tuple[FreeModel, ...] = ()
    fetched_at: float | None = None
    problem: str | None = None


class FreeModels:
    """The list of free models, kept. It is asked for only by ``read``: requests make do with what is known."""

    def __init__(self, backend: KiloBackend) -> None:
        self._backend = backend
        self._lock = trio.Lock()
        self._kept = ModelList()
        self._kept_of = ""

    async def read(self) -> ModelList:
        """The list, asked for anew if it is old; when that fails the old one, and the reason."""
        async with self._lock:
            url, now = self._backend.settings().kilo.url, self._backend.clock()
            kept = self._kept if self._kept_of == url else ModelList()
            if kept.fetched_at is not None and 0 <= now - kept.fetched_at < FRESH_S:
                return kept
            try:
                models = await self._backend.fetch_models()
            except UpstreamError as error:
                return ModelList(kept.models, kept.fetched_at, str(error))
            self._kept, self._kept_of = ModelList(models, now), url
            return self._kept

    def find_window(self, slug: str) -> int | None:
        """The context window of the model, where the list is known and says it."""
        return next((model.context_window for model in self._kept.models if model.id == slug), None)
