"""The routes that are not hot, and what the dispatcher answers where there is no route."""

from __future__ import annotations

import httpx
import pytest
from support.harness import start_daemon

from codexd.api.records import LogFilter
from codexd.record.requests import RequestLog
from codexd.settings.schema import ServerSettings
from codexd.simulator.options import Options
from codexd.web.app import App, Refusals
from codexd.web.http import read_body

ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


async def request(running, method, path, **kwargs):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        return await client.request(method, path, **kwargs)


async def test_health(running):
    response = await request(running, "GET", "/health")
    assert response.json()["status"] == "ok"
    assert response.json()["simulated"] is True
    assert response.headers["request-id"].startswith("req_")


async def test_head_of_the_root_is_empty(running):
    response = await request(running, "HEAD", "/")
    assert (response.status_code, response.content) == (200, b"")


async def test_models_in_the_anthropic_shape(running):
    document = (await request(running, "GET", "/v1/models?limit=1000", headers=ANTHROPIC)).json()
    assert document["data"][0]["type"] == "model"
    assert document["first_id"] == document["data"][0]["id"]
    assert document["has_more"] is False
    assert all("claude" in model["id"] for model in document["data"])


async def test_one_model_by_either_name_and_with_claude_codes_suffix(running):
    for name in ("claude-gpt-5.5", "gpt-5.5", "claude-gpt-5.5%5B1m%5D"):
        answer = (await request(running, "GET", f"/v1/models/{name}", headers=ANTHROPIC)).json()
        assert (answer["id"], answer["max_input_tokens"]) == (name.removesuffix("%5B1m%5D"), 272_000)


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/models?limit=0", 400, "invalid_request_error"),
        ("GET", "/v1/models/nothing", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("POST", "/health", 405, "invalid_request_error"),
        ("GET", "/v1/nowhere", 404, "not_found_error"),
        ("GET", "/%ff%fe%00", 404, "not_found_error"),
    ],
)
async def test_refusals_in_anthropics_shape(running, method, path, status, kind):
    response = await request(running, method, path, headers=ANTHROPIC)
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind
    assert response.json()["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/models/nothing", 404, "model_not_found"),
        ("GET", "/v1/nowhere", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("POST", "/health", 405, "method_not_supported"),
    ],
)
async def test_refusals_in_openais_shape(running, method, path, status, code):
    response = await request(running, method, path)
    assert response.status_code == status
    error = response.json()["error"]
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert response.headers["x-request-id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        (
            "POST",
            "/chat/completions",
            404,
            "Set the client's base URL to {root}/v1; the route is /v1/chat/completions.",
        ),
        ("POST", "/responses", 404, "Set the client's base URL to {root}/v1; the route is /v1/responses."),
        ("POST", "/v1/v1/responses", 404, "Set the client's base URL to {root}/v1; the route is /v1/responses."),
        ("POST", "/v1/chat/completions/", 404, "Set the client's base URL to {root}/v1; the route is"),
        ("POST", "/v1//chat/completions", 404, "Set the client's base URL to {root}/v1; the route is"),
        ("GET", "/models", 404, "Set the client's base URL to {root}/v1, or to {root} for Anthropic's clients"),
        ("POST", "/v1/v1/messages", 404, "Set the client's base URL to {root}; the route is /v1/messages."),
        ("POST", "/messages", 404, "Set the client's base URL to {root}; the route is /v1/messages."),
        ("POST", "/v1/messages/", 404, "Set the client's base URL to {root}; the route is /v1/messages."),
        ("POST", "//v1/messages", 404, "Set the client's base URL to {root}; the route is /v1/messages."),
        ("POST", "/v1/messages/v1/messages", 404, "Set the client's base URL to {root}; the route is /v1/messages."),
        ("POST", "/v1/responses/compact/", 404, "Set the client's base URL to {root}/v1; the route is"),
        ("POST", "/v1/messages/batches", 404, "codexd has no /v1/messages/batches."),
        ("GET", "/v1/chat/completions", 405, "/v1/chat/completions supports only POST"),
        ("DELETE", "/v1/models", 405, "/v1/models does not support DELETE"),
    ],
)
async def test_a_path_that_is_almost_right_names_the_base_url_and_is_recorded(running, method, path, status, words):
    response = await request(running, method, running.address + path)
    assert response.status_code == status
    body = response.json()
    assert ("type" in body) == ("messages" in path)
    assert words.format(root=running.address) in body["error"]["message"]
    explained = await running.call("requests.explain", id=response.headers["request-id"])
    assert explained["request"]["error"] == body["error"]["message"]
    assert (explained["request"]["status"], explained["request"]["state"]) == (status, "failed")
    assert any(each["id"] == explained["request"]["id"] for each in (await running.call("requests.list"))["requests"])
    (entry,) = running.logs.history(LogFilter(request=response.headers["request-id"]))
    assert "refused" in entry.message


async def test_what_clients_ask_for_just_in_case_is_not_what_why_explains(running):
    wrong = await request(running, "POST", "/chat/completions")
    for probe in ("/backend-api/wham/settings/user", "/v1/nowhere"):
        assert (await request(running, "GET", probe)).status_code == 404
    assert (await running.call("requests.explain"))["request"]["id"] == wrong.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "is_recorded"),
    [
        ("GET", "/backend-api/ps/plugins/suggested/codex", False),
        ("GET", "/backend-api/wham/settings/user", False),
        ("POST", "/backend-api/codex/analytics-events/events", False),
        ("GET", "/v1/models?client_version=0.171.0", False),
        ("POST", "/backend-api/codex/responses", True),
        ("POST", "/v1/nowhere", True),
    ],
)
async def test_what_a_codex_client_does_without_is_no_failed_request(nursery, tmp_path, method, path, is_recorded):
    running = await start_daemon(nursery, tmp_path, options=Options(models_status=503))
    answer = await request(running, method, path, headers={"originator": "codex-tui"})
    assert answer.status_code == 404
    assert bool((await running.call("requests.list"))["requests"]) is is_recorded
    logged = running.logs.history(LogFilter(request=answer.headers["request-id"]))
    assert [entry.level for entry in logged] == ["info" if is_recorded else "debug"]


async def test_refusals_do_not_count_as_usage(running):
    await request(running, "POST", "/chat/completions")
    assert (await running.call("usage.summary"))["total"]["requests"] == 0


async def test_a_client_that_leaves_within_its_request_gets_nothing(caplog):
    async def hot(request, receive, _send):
        await read_body(request, receive)

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    refusals = Refusals(RequestLog(lambda: 0.0), clock=lambda: 0.0)
    app = App(ServerSettings, {"/v1/hot": hot}, quart=None, refusals=refusals)
    head = {
        "type": "http",
        "method": "POST",
        "path": "/v1/hot",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await app(head, receive, send)
    assert caplog.records == []
