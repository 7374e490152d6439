"""Kilo's gateway over HTTP: the third party that only the model name ``kilo`` leads to.

It gets the content of a request and codexd's name, but no key and no login: the gateway serves free models to anyone
(kilo.ai/docs/gateway/authentication, "Anonymous access"). It has a separate HTTP client, so that no header, cookie or
connection of the ChatGPT backend can get there.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
from attrs import frozen

from codexd import bounds, jsontext
from codexd.errors import UpstreamError, UpstreamFailed
from codexd.settings.schema import Settings, UpstreamSettings
from codexd.translation.kilo.errors import read_http_error
from codexd.translation.kilo.models import FreeModel, read_free_models
from codexd.translation.kilo.stream import ChatReader
from codexd.upstream.event_source import EventSource
from codexd.upstream.http import AnswerTimeouts, Progress, fetch, open_answer, open_client
from codexd.upstream.proxies import Proxies

NAME = "the third party"
"""Its name in errors."""

FRESH_S = 3600.0
"""How long a list of models is used before it is fetched again."""

LIST_TIMEOUT_S = 20.0


def open_kilo_client(settings: UpstreamSettings, *, proxies: Proxies, tls: ssl.SSLContext) -> httpx.AsyncClient:
    """An HTTP client that sends codexd's name as the user agent only."""
    client = open_client(settings, proxies=proxies, tls=tls)
    del client.headers["originator"]
    return client


@frozen
class KiloBackend:
    """``http`` is from ``open_kilo_client``. ``settings`` returns the current settings, ``clock`` epoch seconds."""

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
        """Send ``chat``, made from ``body``, and yield the events of the answer; leaving the context closes it.

        Raises:
            UpstreamError: Kilo refused, or could not be reached.
        """
        host, timeouts = self.host, AnswerTimeouts.of(self.settings().upstream)
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
        async with open_answer(self.http, request, progress, timeouts=timeouts, name=NAME) as answer:
            answer.check_stream(host)
            if answer.status != 200 or answer.is_json:
                refusal = await answer.read_error_body()
                raise read_http_error(
                    answer.status, answer.headers, refusal, host=host, model=chat["model"], now=self.clock()
                )
            reader = ChatReader(body, chat["model"], host)
            yield EventSource(answer.chunks, timeouts, reader, name=host, begins_by=answer.begins_by)

    async def fetch_models(self) -> tuple[FreeModel, ...]:
        """The free models.

        Raises:
            UpstreamError: Kilo refused, or its answer is not usable.
        """
        host = self.host
        request = self.http.build_request("GET", self._url("/models"), headers={"accept": "application/json"})
        answer = await fetch(self.http, request, timeout_s=LIST_TIMEOUT_S, max_bytes=bounds.ANSWER_BYTES, name=NAME)
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
class FreeModelList:
    """``fetched_at`` is in seconds since the epoch; ``problem`` says why there is no newer list."""

    models: tuple[FreeModel, ...] = ()
    fetched_at: float | None = None
    problem: str | None = None


class FreeModels:
    """A cache of the list of free models. Only ``read`` fetches it; requests use what is known."""

    def __init__(self, backend: KiloBackend) -> None:
        self._backend = backend
        self._lock = trio.Lock()
        self._kept = FreeModelList()
        self._kept_of = ""

    async def read(self) -> FreeModelList:
        """The list, fetched again if it is old; if that fails, the old list and the reason."""
        async with self._lock:
            url, now = self._backend.settings().kilo.url, self._backend.clock()
            kept = self._kept if self._kept_of == url else FreeModelList()
            if kept.fetched_at is not None and 0 <= now - kept.fetched_at < FRESH_S:
                return kept
            try:
                models = await self._backend.fetch_models()
            except UpstreamError as error:
                return FreeModelList(kept.models, kept.fetched_at, str(error))
            self._kept, self._kept_of = FreeModelList(models, now), url
            return self._kept

    def find_window(self, slug: str) -> int | None:
        """The context window of the model, if the list is known and includes it."""
        return next((model.context_window for model in self._kept.models if model.id == slug), None)
