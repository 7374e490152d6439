"""``codex.*`` on a whole daemon, and what the Codex CLI asks it for its ``/status``."""

from __future__ import annotations

import json
import tomllib

import httpx
import pytest
import trio
from support.harness import RefusedError, WallClock, post, start_daemon

from codexd.simulator.options import Options

EMPTY = {"config_dir": "/nonexistent/.codex"}
LOGIN = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {"access_token": "cli-token-1"}}
OWN_TOKEN = {"authorization": "Bearer cli-token-1", "chatgpt-account-id": "cli-account"}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "daemon")


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "codex"
    folder.mkdir()
    return folder


def config_of(place):
    return tomllib.loads((place / "config.toml").read_text())


def provider_of(place):
    config = config_of(place)
    return config["model_providers"][config["model_provider"]]


def sign_in(place):
    (place / "auth.json").write_text(json.dumps(LOGIN))


async def test_the_proof_is_a_request_that_the_backend_has_seen(running, place):
    (place / "config.toml").write_text('model = "gpt-6.1-sol"\n')
    running.load({"output": [{"text": "OK"}]})
    done = await running.call("codex.proxy", config_dir=str(place))
    proof = done["proof"]
    assert (proof["ok"], proof["status"], proof["model_used"]) == (True, 200, "gpt-6.1-sol")
    assert proof["message"].startswith("gpt-6.1-sol answered in ")
    (asked,) = running.asked
    assert asked.path == "/backend-api/codex/responses"
    assert provider_of(place)["base_url"] == f"{running.address}/v1"
    assert done["mode"] == "codexd"


async def test_the_proof_carries_the_key_that_the_door_asks_for(nursery, tmp_path, place):
    environ = {"CODEXD_SERVER_API_KEY": "local-secret-1"}
    running = await start_daemon(nursery, tmp_path / "daemon", environ=environ)
    done = await running.call("codex.proxy", config_dir=str(place))
    assert done["proof"]["ok"]
    assert provider_of(place)["http_headers"] == {"x-api-key": "local-secret-1"}
    status = await running.call("codex.status", config_dir=str(place))
    assert "local-secret-1" not in json.dumps([done, status]) + running.log_text()


async def test_status_says_that_the_key_is_another_by_now(running, place):
    await running.call("codex.proxy", config_dir=str(place))
    await running.call("settings.set", name="server.api_key", value="local-secret-1")
    status = await running.call("codex.status", config_dir=str(place))
    assert "server.api_key" in status["notes"][0]
    await running.call("codex.proxy", config_dir=str(place))
    assert (await running.call("codex.status", config_dir=str(place)))["notes"] == []


PLUS = Options(plan_models={"plus": frozenset({"gpt-6-sol", "gpt-5.5"})})


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("", "gpt-6-sol"),
        ('model = "gpt-5.4" # mine\n', "gpt-6-sol"),
        ('model = "gpt-5.5" # mine\n', "gpt-5.5"),
        ('model = "opus" # mine\n', "opus"),
    ],
)
async def test_the_cli_starts_with_a_model_that_is_offered(nursery, tmp_path, place, text, model):
    running = await start_daemon(nursery, tmp_path / "daemon", options=PLUS)
    (place / "config.toml").write_text(text)
    done = await running.call("codex.proxy", config_dir=str(place))
    assert (done["proof"]["ok"], done["proof"]["model"], config_of(place)["model"]) == (True, model, model)
    again = await running.call("codex.proxy", config_dir=str(place))
    assert (again["changes"], config_of(place)["model"]) == ([], model)
    await running.call("codex.reset", config_dir=str(place))
    assert (place / "config.toml").read_text() == text


async def test_a_model_that_is_not_offered_is_named_with_one_that_is(nursery, tmp_path, place):
    running = await start_daemon(nursery, tmp_path / "daemon", options=PLUS)
    await running.call("codex.proxy", config_dir=str(place))
    file = place / "config.toml"
    file.write_text(file.read_text().replace('model = "gpt-6-sol"', 'model = "gpt-6.2-sol"'))
    assert "model = gpt-6.2-sol, which" in (await running.call("codex.status", config_dir=str(place)))["notes"][0]
    body = {"model": "gpt-6.2-sol", "input": "hi", "stream": True}
    answer = await post(running, body, "/v1/responses", user_agent="codex_exec/0.171.0")
    assert answer.status_code == 404
    assert "your plan is plus. To go on, choose another model, such as gpt-6-sol." in answer.json()["error"]["message"]


async def test_without_an_account_it_says_so_and_stays_set_up(running, place):
    await running.call("accounts.clear")
    proof = (await running.call("codex.proxy", config_dir=str(place)))["proof"]
    assert proof["ok"] is False
    assert "codexctl accounts add" in proof["message"]
    assert provider_of(place)["base_url"] == f"{running.address}/v1"


async def test_a_dry_run_says_it_all_and_does_nothing(running, place):
    done = await running.call("codex.proxy", config_dir=str(place), dry_run=True)
    assert done["changes"] == [
        {"name": "model", "before": None, "after": "gpt-6.2-sol"},
        {"name": "model_provider", "before": None, "after": "codexd"},
        {"name": "model_providers.codexd", "before": None, "after": f"{running.address}/v1"},
    ]
    assert (done["proof"], done["backup"], done["mode"], running.asked) == (None, None, "codexd", [])
    assert list(place.iterdir()) == []
    assert not (running.places.state_dir / "clients.json").exists()


async def test_a_login_of_the_cli_makes_it_ask_codexd_for_limits(running, place):
    done = await running.call("codex.proxy", config_dir=str(place), dry_run=True)
    assert any("not signed in" in note for note in done["notes"])
    sign_in(place)
    done = await running.call("codex.proxy", config_dir=str(place))
    assert any("limits of codexd's active account" in note for note in done["notes"])
    assert config_of(place)["chatgpt_base_url"] == f"{running.address}/backend-api"
    assert provider_of(place)["requires_openai_auth"] is True
    status = await running.call("codex.status", config_dir=str(place))
    assert (status["signed_in"], status["notes"]) == (True, [])
    (place / "auth.json").unlink()
    status = await running.call("codex.status", config_dir=str(place))
    assert "signed out now" in status["notes"][0]
    await running.call("codex.proxy", config_dir=str(place))
    assert "chatgpt_base_url" not in config_of(place)


async def test_the_undo_survives_a_restart(tmp_path, place):
    text = "model_provider = 'azure' # work\r\n[model_providers.azure]\r\nname = \"Azure\"\r\n"
    (place / "config.toml").write_text(text, newline="")
    async with trio.open_nursery() as first:
        running = await start_daemon(first, tmp_path / "daemon")
        await running.call("codex.proxy", config_dir=str(place))
        first.cancel_scope.cancel()
    async with trio.open_nursery() as second:
        running = await start_daemon(second, tmp_path / "daemon")
        status = await running.call("codex.status", config_dir=str(place))
        assert status["can_reset"]
        assert (status["mode"], "codexd used to listen" in status["notes"][0]) == ("other", True)
        done = await running.call("codex.reset", config_dir=str(place))
        assert {"name": "model_provider", "before": "codexd", "after": "azure"} in done["changes"]
        assert done["mode"] == "other"
        second.cancel_scope.cancel()
    assert (place / "config.toml").read_bytes() == text.encode()
    assert [path.name for path in place.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_what_leads_to_a_codexd_with_nothing_remembered_is_taken_out(running, place, is_signed_in):
    if is_signed_in:
        sign_in(place)
    (place / "config.toml").write_text("# mine\n")
    await running.call("codex.proxy", config_dir=str(place))
    (running.places.state_dir / "clients.json").unlink()
    done = await running.call("codex.reset", config_dir=str(place))
    assert done["mode"] == "openai"
    assert (place / "config.toml").read_text() == "# mine\n"


async def test_status_says_what_is_there(running, place):
    status = await running.call("codex.status", config_dir=str(place))
    assert (status["exists"], status["mode"], status["values"], status["can_reset"]) == (False, "openai", [], False)
    (place / "config.toml").write_text(
        'model = "o3"\nmodel_provider = "azure"\n[model_providers.azure]\nbase_url = "https://me:pw@x.example.com/v1"\n'
        '[profiles.old]\nmodel_provider = "oss"\n[profiles.own]\nmodel_provider = "codexd"\n'
    )
    (place / "work.config.toml").write_text('model_provider = "azure-2"\n')
    (place / "fast.config.toml").write_text('model = "gpt-6.1-sol"\n')
    (place / "broken.config.toml").write_text("x")
    status = await running.call("codex.status", config_dir=str(place))
    assert (status["mode"], status["base_url"]) == ("other", "https://x.example.com/v1")
    assert {"name": "model_provider", "value": "azure"} in status["values"]
    model, profile = status["notes"]
    assert ("model = o3" in model, "gpt-5.5" in model) == (True, True)
    assert "work.config.toml, profiles.old the Codex CLI bypasses codexd" in profile
    (place / "config.toml").write_text("[")
    status = await running.call("codex.status", config_dir=str(place))
    assert (status["mode"], "can't be edited" in status["problem"]) == (None, True)


@pytest.mark.parametrize("model", ["gpt-9", "claude-sonnet-5-5", "codex", "opus"])
async def test_a_model_that_codexd_routes_needs_no_note(running, place, model):
    (place / "config.toml").write_text(f'model = "{model}"\n')
    assert (await running.call("codex.status", config_dir=str(place)))["notes"] == []


@pytest.mark.parametrize(
    ("params", "words"),
    [({"config_dir": "codex"}, "config_dir: must be an absolute path"), ({}, "config_dir: is required")],
)
async def test_what_is_wrong_is_said(running, params, words):
    for method in ("codex.status", "codex.proxy", "codex.reset"):
        with pytest.raises(RefusedError) as refused:
            await running.call(method, **params)
        assert (refused.value.kind, words in str(refused.value)) == ("request_invalid", True)


async def test_a_broken_file_is_refused_and_stays(running, place):
    (place / "config.toml").write_text("a = 1\na = 2\n")
    for method in ("codex.proxy", "codex.reset"):
        with pytest.raises(RefusedError) as refused:
            await running.call(method, config_dir=str(place))
        assert refused.value.kind == "client_file_refused"
    assert (place / "config.toml").read_text() == "a = 1\na = 2\n"
    assert running.asked == []


# -- what its /status asks for --------------------------------------------------------------------


async def get(running, path, **headers):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        return await client.get(path, headers=OWN_TOKEN | headers)


async def test_the_limits_are_those_of_the_active_account(running):
    await running.sign_in("spare@example.com", plan="pro")
    await running.call("accounts.switch", account="spare@example.com")
    reply = await get(running, "/backend-api/wham/usage")
    usage = reply.json()
    assert (reply.status_code, usage["plan_type"]) == (200, "pro")
    assert usage["rate_limit"]["primary_window"]["limit_window_seconds"] == 18000
    assert usage["rate_limit"]["secondary_window"]["limit_window_seconds"] == 604800
    assert (usage["rate_limit"]["allowed"], usage["rate_limit"]["limit_reached"]) == (True, False)


async def test_limits_that_are_known_are_not_asked_for_again_until_they_are_stale(nursery, tmp_path):
    clock = WallClock()
    running = await start_daemon(nursery, tmp_path / "daemon", clock=clock)

    def asked():
        return [request for request in running.simulator.requests if request.path == "/backend-api/wham/usage"]

    await get(running, "/backend-api/wham/usage")
    await get(running, "/backend-api/wham/usage")
    assert len(asked()) == 1
    clock.ahead_s = 3600
    await get(running, "/backend-api/wham/usage")
    assert len(asked()) == 2


async def test_the_token_of_the_cli_goes_nowhere(running):
    await get(running, "/backend-api/wham/usage")
    await get(running, "/backend-api/wham/accounts/check")
    sent = [str(dict(request.headers)) for request in running.simulator.requests]
    assert sent
    assert "cli-token-1" not in "".join(sent) + running.log_text()


async def test_the_workspace_of_the_cli_is_one_without_a_place_of_its_own(running):
    reply = await get(running, "/backend-api/wham/accounts/check")
    (account,) = reply.json()["accounts"]
    assert (account["id"], account["account_routing_override"]) == ("cli-account", "NO_CONSTRAINT")
    assert account["workspace_backend_origin"] == "https://127.0.0.1"


async def test_without_an_account_there_are_no_limits_and_no_401(running):
    await running.call("accounts.clear")
    reply = await get(running, "/backend-api/wham/usage")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")


async def test_chatgpts_apps_are_a_server_that_has_none(running):
    async def ask(**message):
        async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
            return await client.post("/backend-api/ps/mcp", json={"jsonrpc": "2.0", **message}, headers=OWN_TOKEN)

    begun = (await ask(id=0, method="initialize", params={"protocolVersion": "2025-06-18", "capabilities": {}})).json()
    assert (begun["id"], begun["result"]["protocolVersion"], begun["result"]["serverInfo"]["name"]) == (
        0,
        "2025-06-18",
        "codexd",
    )
    assert (await ask(method="notifications/initialized")).status_code == 202
    assert (await ask(id=1, method="tools/list")).json()["result"] == {"tools": []}
    assert (await ask(id=2, method="tools/call", params={"name": "x"})).json()["error"]["code"] == -32601
    assert (await ask(id=3)).json()["error"]["code"] == -32600
    assert (await get(running, "/backend-api/ps/mcp")).status_code == 405


@pytest.mark.parametrize(
    "path", ["/backend-api/wham/settings/user", "/backend-api/ps/plugins/installed", "/backend-api/codex/models"]
)
async def test_all_else_is_a_404_in_json(running, path):
    reply = await get(running, path)
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_web_pages_get_nothing(running):
    assert (await get(running, "/backend-api/wham/usage", origin="https://evil.example.com")).status_code == 403
    assert (await get(running, "/backend-api/wham/usage", host="evil.example.com")).status_code == 403
