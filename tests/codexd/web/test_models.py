"""Lists of models in three shapes, and which model is asked for, through a whole daemon on a simulated backend."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from attrs import evolve
from support.harness import HELLO, RefusedError, post, start_daemon

from codexd.simulator.options import Options
from codexd.translation.models.catalogue import BUILT_IN

ANTHROPIC = {"anthropic-version": "2023-06-01"}
CODEX = "/v1/models?client_version=0.169.0"
FREE = Options(plan_models={"free": frozenset({"gpt-6-sol", "codex-auto-review"})})


async def get(running, path, **headers):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False) as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def fetches(running):
    return [request for request in running.simulator.requests if request.path.endswith("/codex/models")]


async def wait_until(holds):
    with trio.fail_after(20):
        while not holds():
            await trio.sleep(0.01)


def knows(running, count=1):
    return lambda: sum("models" in entry for entry in running.log_text().splitlines() if "backend" in entry) >= count


@pytest.fixture
async def running(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    await wait_until(knows(running))
    return running


def without(*slugs):
    return [model for model in BUILT_IN.models if model.slug not in slugs]


# -- the three shapes -----------------------------------------------------------------------------


async def test_openais_shape_and_the_codex_clis(running):
    listed = (await get(running, "/v1/models", user_agent="OpenAI/Python 3.57.0")).json()
    assert listed["object"] == "list"
    sizes = {"context_window": 272_000, "context_length": 272_000, "max_output_tokens": 128_000}
    assert {"id": "gpt-5.5", "object": "model", "created": 0, "owned_by": "openai", **sizes} in listed["data"]
    assert not any(entry["id"].startswith("claude") for entry in listed["data"])
    answer = await get(running, CODEX, user_agent="codex_cli_rs/0.169.0")
    (entry,) = [entry for entry in answer.json()["models"] if entry["slug"] == "gpt-5.5"]
    assert entry["truncation_policy"] == {"mode": "tokens", "limit": 10_000}
    assert answer.headers["etag"].startswith("W/")


async def test_the_codex_cli_gets_hidden_entries_too_as_they_came(running):
    entries = (await get(running, CODEX)).json()["models"]
    assert [entry["slug"] for entry in entries] == [model.slug for model in BUILT_IN.models]
    one = await get(running, "/v1/models/gpt-5.5?client_version=0.169.0")
    assert one.json() in entries
    assert (await get(running, "/v1/models/gpt-1?client_version=0.169.0")).json()["error"]["code"] == "model_not_found"


async def test_names_that_settings_give(running):
    await running.call(
        "settings.set", name="models.aliases", value={"mine": "gpt-6-luna", "claude-opus-*": "gpt-6-sol"}
    )
    listed = {entry["id"]: entry for entry in (await get(running, "/v1/models?limit=1000", **ANTHROPIC)).json()["data"]}
    assert listed["mine"]["display_name"] == "mine on gpt-6-luna (Codex)"
    assert listed["claude-opus-5-5"]["display_name"] == "Opus on gpt-6-sol (Codex)"
    assert "mine" in [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]
    for name in ("mine", "opus", "codex", "claude-sonnet-9"):
        assert (await get(running, f"/v1/models/{name}")).json()["id"] == name


async def test_kilo_is_listed_once_it_is_opted_in(running):
    async def has_kilo():
        return "kilo" in [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]

    assert not await has_kilo()
    assert (await get(running, "/v1/models/kilo")).status_code == 404
    await running.call("settings.set", name="kilo.enabled", value=True)
    assert await has_kilo()


@pytest.mark.parametrize("limit", ["0", "1001", "x", "٣", "1.5", "-1", "9" * 5000])
async def test_a_limit_that_is_none(running, limit):
    answer = await get(running, f"/v1/models?limit={limit}", **ANTHROPIC)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_pages_go_both_ways(running):
    whole = [entry["id"] for entry in (await get(running, "/v1/models?limit=1000", **ANTHROPIC)).json()["data"]]
    first = (await get(running, "/v1/models?limit=3", **ANTHROPIC)).json()
    assert (first["has_more"], first["last_id"]) == (True, whole[2])
    second = (await get(running, f"/v1/models?limit=3&after_id={whole[2]}", **ANTHROPIC)).json()
    assert [entry["id"] for entry in second["data"]] == whole[3:6]
    back = (await get(running, f"/v1/models?limit=2&before_id={whole[3]}", **ANTHROPIC)).json()
    assert [entry["id"] for entry in back["data"]] == whole[1:3]
    beyond = (await get(running, "/v1/models?after_id=nobody", **ANTHROPIC)).json()
    assert (beyond["data"], beyond["first_id"], beyond["has_more"]) == ([], None, False)


# -- where the list comes from --------------------------------------------------------------------


async def test_a_list_that_changes_is_noticed_by_a_reply(running):
    before = (await get(running, CODEX)).headers["etag"]
    running.simulator.models = without("gpt-6.1-sol")
    await running.call("accounts.models", refresh=True)
    listed = [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]
    assert "gpt-6.1-sol" not in listed
    assert (await get(running, CODEX)).headers["etag"] != before


async def test_an_etag_of_a_reply_asks_again(nursery, tmp_path, monkeypatch):
    monkeypatch.setattr("codexd.accounts.catalogues.CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr("codexd.accounts.catalogues.CHANGE_PAUSE_S", 0.0)
    running = await start_daemon(nursery, tmp_path)
    await wait_until(knows(running))
    for _ in range(2):
        assert (await post(running, HELLO)).status_code == 200
    assert len(fetches(running)) == 1
    running.simulator.models = without("gpt-6.1-sol")
    assert (await post(running, HELLO)).status_code == 200
    await wait_until(lambda: "has changed" in running.log_text())
    assert "'gone': ['gpt-6.1-sol']" in running.log_text()
    assert len(fetches(running)) == 2


async def test_it_is_there_again_after_a_restart_without_the_backend(tmp_path):
    options = Options(plan_models={"plus": frozenset({"gpt-6-sol"})})
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, options=options)
        await wait_until(knows(running))
        await wait_until(lambda: list(running.places.models.glob("*.json")))
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, options=evolve(options, models_status=503))
        await wait_until(lambda: "no list of models" in running.log_text())
        listed = [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]
        assert listed == ["gpt-6-sol"]
        nursery.cancel_scope.cancel()


async def test_offline_the_built_in_list_is_told(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(models_status=503))
    await wait_until(lambda: "no list of models" in running.log_text())
    assert (await post(running, HELLO)).status_code == 200
    listed = [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]
    assert listed == [model.slug for model in BUILT_IN.listed]
    told = await running.call("accounts.models")
    assert (told["source"], told["fetched_at"]) == ("built-in", None)
    assert "can't be read now" in told["error"]
    assert (await get(running, CODEX)).status_code == 404
    running.simulator.options = Options()
    assert (await running.call("accounts.models"))["source"] == "backend"


async def test_without_an_account_the_built_in_list_is_told(running):
    (account,) = (await running.call("accounts.list"))["accounts"]
    await running.call("accounts.remove", account=account["id"])
    listed = [entry["id"] for entry in (await get(running, "/v1/models")).json()["data"]]
    assert "gpt-5.5" in listed
    answer = await get(running, CODEX)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert (await get(running, "/v1/models", **ANTHROPIC)).json()["data"]
    with pytest.raises(RefusedError, match="accounts add"):
        await running.call("accounts.models")


# -- what is chosen -------------------------------------------------------------------------------


async def test_the_first_that_the_account_is_offered_is_asked_for(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=FREE)
    await wait_until(knows(running))
    await running.sign_in("free@example.com", plan="free")
    await running.call("accounts.switch", account="free@example.com")
    await running.call("accounts.models")
    for name in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"):
        await post(running, {**HELLO, "model": name})
    # No model of opus or haiku is offered, so all are tried, except for those that were refused before.
    asked = [request.body["model"] for request in running.asked]
    opus, sonnet, haiku = ["gpt-5.5", "gpt-6.1-sol", "gpt-6.2-sol"], ["gpt-6-sol"], ["gpt-5.4-mini", "gpt-6-luna"]
    assert asked == [*opus, *sonnet, *haiku, "gpt-5.6-luna"]


async def test_a_model_that_is_offered_but_refused_is_passed_over(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(refused_models=frozenset({"gpt-5.5"})))
    await wait_until(knows(running))
    for _ in range(2):
        assert (await post(running, HELLO)).status_code == 200
    assert [request.body["model"] for request in running.asked] == ["gpt-5.5", "gpt-6-sol", "gpt-6-sol"]
    models = {model["id"]: model for model in (await running.call("accounts.models"))["models"]}
    assert models["gpt-5.5"]["refused"]
    assert "models.sonnet" in models["gpt-6-sol"]["used_by"]


async def test_a_model_that_all_refuse_is_asked_for_once(nursery, tmp_path):
    refused = frozenset({"gpt-5.5", "gpt-6-sol", "gpt-6.1-terra"})
    running = await start_daemon(nursery, tmp_path, options=Options(refused_models=refused))
    await wait_until(knows(running))
    answer = await post(running, HELLO)
    assert answer.status_code == 404
    assert [request.body["model"] for request in running.asked] == ["gpt-5.5", "gpt-6-sol", "gpt-6.1-terra"]


async def test_windows_are_the_accounts_own(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    await wait_until(knows(running))
    running.simulator.models = [
        model if model.slug != "gpt-5.5" else type(model)("gpt-5.5", "GPT-5.5", 1, "list", 123_456)
        for model in BUILT_IN.models
    ]
    await running.call("accounts.models", refresh=True)
    entry = (await get(running, "/v1/models/claude-sonnet-5-5", **ANTHROPIC)).json()
    assert entry["max_input_tokens"] == 123_456
    environment = await running.call("claude.environment")
    settings = await trio.Path(environment["settings_path"]).read_text()
    assert json.loads(settings)["autoCompactWindow"] == 123_456
    running.load({"error": {"status": 400, "body": {"error": {"code": "context_length_exceeded", "message": "long"}}}})
    refused = (await post(running, HELLO)).json()["error"]["message"]
    assert "> 123456 maximum" in refused


async def test_no_prompt_of_the_catalogue_is_logged(running):
    assert "Served by a simulated backend" in (await get(running, CODEX)).text
    assert "Served by a simulated backend" not in running.log_text()
    assert json.dumps("base_instructions") not in running.log_text()
