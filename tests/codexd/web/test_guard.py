"""Who may talk to the HTTP side."""

from __future__ import annotations

import re

import httpx
import pytest
import trio
from support.harness import HELLO, post, start_daemon

from codexd.api.records import LogFilter
from codexd.errors import Forbidden, KeyRejected
from codexd.settings.schema import ServerSettings
from codexd.web.guard import check_key, check_origin

LOCAL = ServerSettings()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8081"},
        {"host": "localhost"},
        {"host": "LOCALHOST:1"},
        {"host": "[::1]:8081"},
        {"host": "127.0.0.1:8081", "origin": "http://127.0.0.1:8081", "sec-fetch-site": "same-origin"},
        {"host": "127.0.0.1:8081", "sec-fetch-site": "none"},
    ],
)
def test_programs_and_our_own_pages_are_let_in(headers):
    check_origin("/v1/messages", headers, LOCAL)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "evil.example@127.0.0.1.nip.io"},
        {"host": "[::1"},
        {"host": "192.168.0.2:8081"},
        {"host": "127.0.0.1:8081", "origin": "https://evil.example"},
        {"host": "127.0.0.1:8081", "origin": "http://127.0.0.1:3000"},
        {"host": "127.0.0.1:8081", "origin": "null"},
        {"host": "127.0.0.1:8081", "sec-fetch-site": "cross-site"},
        {"host": "127.0.0.1:8081", "sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_others_are_not(headers):
    with pytest.raises(Forbidden):
        check_origin("/v1/messages", headers, LOCAL)


def test_a_server_for_others_is_known_by_other_names():
    check_origin("/v1/messages", {"host": "studio.local"}, ServerSettings(host="0.0.0.0", api_key="k"))


OPEN = ServerSettings(
    allowed_hosts=("host.docker.internal", "Studio.local"),
    allowed_origins=("app://obsidian.md", "http://localhost:3000"),
)
DOCKER = {"host": "host.docker.internal:8081"}
OBSIDIAN = {"host": "127.0.0.1:8081", "origin": "app://obsidian.md", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/messages", DOCKER),
        ("/health", DOCKER),
        ("/backend-api/wham/usage", DOCKER),
        ("/v1/models", {"host": "STUDIO.local"}),
        ("/v1/chat/completions", OBSIDIAN),
        ("/v1/models", {**DOCKER, "origin": "http://LOCALHOST:3000"}),
    ],
)
def test_what_the_user_has_allowed_is_let_in(path, headers):
    check_origin(path, headers, OPEN)


@pytest.mark.parametrize(
    ("path", "headers", "setting"),
    [
        ("/accounts", DOCKER, "server.allowed_hosts"),
        ("/", DOCKER, "server.allowed_hosts"),
        ("/v1/messages", {"host": "docker.internal"}, "server.allowed_hosts"),
        ("/v1/messages", {"host": "x.host.docker.internal"}, "server.allowed_hosts"),
        ("/v1/messages", {"host": ""}, "server.allowed_hosts"),
        ("/health", OBSIDIAN, "server.allowed_origins"),
        ("/accounts", OBSIDIAN, "server.allowed_origins"),
        ("/backend-api/wham/usage", OBSIDIAN, "server.allowed_origins"),
        ("/v1/messages", {**OBSIDIAN, "origin": "app://obsidian.md.evil"}, "server.allowed_origins"),
        ("/v1/messages", {**OBSIDIAN, "origin": "http://localhost:3001"}, "server.allowed_origins"),
        ("/v1/messages", {**OBSIDIAN, "origin": "null"}, "server.allowed_origins"),
        ("/v1/messages", {"host": "127.0.0.1", "sec-fetch-site": "cross-site"}, "server.allowed_origins"),
        ("/v1/messages", {**OBSIDIAN, "host": "evil.example"}, "server.allowed_hosts"),
    ],
)
def test_nothing_else_is_and_the_error_names_the_setting(path, headers, setting):
    with pytest.raises(Forbidden, match=re.escape(setting)):
        check_origin(path, headers, OPEN)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "k"},
        *({"authorization": f"{scheme} k"} for scheme in ("Bearer", "bearer", "BEARER", "Bearer ")),
        {"x-api-key": "what Claude Code's apiKeyHelper says", "authorization": "Bearer k"},
    ],
)
def test_the_key_opens(headers):
    check_key(headers, ServerSettings(api_key="k"))


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "K"}, {"authorization": "k"}, {"authorization": "Basic k"}, {"x-api-key": "\xff"}]
)
def test_another_key_does_not(headers):
    with pytest.raises(KeyRejected):
        check_key(headers, ServerSettings(api_key="k"))


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/models", "/health", "/", "/nowhere"])
async def test_every_route_is_guarded(nursery, tmp_path, path):
    running = await start_daemon(nursery, tmp_path)
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        response = await post(running, HELLO, path, **headers)
        assert response.status_code == 403
        assert response.json()["error"]["type"] == "permission_error"
    assert running.asked == []


async def test_model_requests_need_the_key_where_one_is_set(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_SERVER_API_KEY": "sesame"})
    refused = await post(running, HELLO)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
    assert "sesame" not in refused.text
    (entry,) = running.logs.history(LogFilter(request=refused.headers["request-id"]))
    assert entry.message.startswith("POST /v1/messages refused: The request does not have the key")
    assert (await post(running, HELLO, x_api_key="sesame")).status_code == 200
    assert (await running.call("requests.explain"))["request"]["id"] == refused.headers["request-id"]


PAGE = {"CODEXD_SERVER_ALLOWED_ORIGINS": "app://obsidian.md", "CODEXD_SERVER_API_KEY": "sesame"}


async def test_an_allowed_page_asks_first_and_can_read_the_answer(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, environ=PAGE)
    asks = {
        "origin": "app://obsidian.md",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
        "access-control-request-private-network": "true",
    }
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        asked = await client.options("/v1/chat/completions", headers=asks)
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == "app://obsidian.md"
        assert asked.headers["access-control-allow-headers"] == "authorization,content-type"
        assert asked.headers["access-control-allow-private-network"] == "true"
        for path, origin in (("/health", "app://obsidian.md"), ("/v1/models", "app://evil")):
            refused = await client.options(path, headers={**asks, "origin": origin})
            assert refused.status_code == 403
            assert not [name for name in refused.headers if name.startswith("access-control")]
    for key, status in (("sesame", 200), ("wrong", 401)):
        answer = await post(running, HELLO, origin="app://obsidian.md", authorization=f"bearer {key}")
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "app://obsidian.md"
        assert "origin" in answer.headers["vary"]
    plain = await post(running, HELLO, x_api_key="sesame")
    assert "access-control-allow-origin" not in plain.headers


@pytest.mark.parametrize(
    "target",
    ["//v1/models", "/%2fv1/models", "///v1/models/gpt-5.5", "http://127.0.0.1/v1/models", "v1/models", "/v1//models"],
)
async def test_no_other_way_to_write_a_path_goes_past_the_key(nursery, tmp_path, target):
    running = await start_daemon(nursery, tmp_path, environ={"CODEXD_SERVER_API_KEY": "sesame"})
    answer = await _get_as_written(running, target)
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"unknown_url" in answer


async def _get_as_written(running, target):
    """The answer to a target that HTTP clients would put in order."""
    host, _, port = running.address.removeprefix("http://").partition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        head = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        await stream.send_all(head.encode())
        return b"".join([part async for part in stream])
