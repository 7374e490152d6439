"""Kilo's gateway over HTTP, where nobody answers; ``tests/codexd/web/test_kilo.py`` has the rest."""

import socket
import ssl

import attrs
import pytest

from codexd.errors import UpstreamFailed
from codexd.record.requests import RequestLog
from codexd.settings.schema import KiloSettings, Settings, UpstreamSettings
from codexd.upstream.kilo import FreeModels, KiloBackend, open_kilo_client
from codexd.upstream.proxies import Proxies


@pytest.fixture
async def backend():
    with socket.socket() as taken:  # bound and not listening: nobody else can answer
        taken.bind(("127.0.0.1", 0))
        kilo = KiloSettings(enabled=True, url=f"http://127.0.0.1:{taken.getsockname()[1]}/api/")
        settings = attrs.evolve(Settings(), kilo=kilo)
        async with open_kilo_client(UpstreamSettings(), proxies=Proxies(), tls=ssl.create_default_context()) as http:
            yield KiloBackend(http, lambda: settings, lambda: 0.0)


async def test_a_request_says_who_can_not_be_reached(backend):
    with RequestLog(lambda: 0.0).record("req_1", "POST", "/v1/messages", "some") as record:
        with pytest.raises(UpstreamFailed, match=r"the third party at 127\.0\.0\.1 can't be reached"):
            async with backend.respond({"model": "m"}, {}, record):
                pass


async def test_the_list_says_it_too(backend):
    found = await FreeModels(backend).read()
    assert (found.models, found.fetched_at) == ((), None)
    assert found.problem.startswith("the third party at 127.0.0.1 can't be reached: the connection was refused")
