"""``claude.*`` on a whole daemon."""

from __future__ import annotations

import json

import pytest
import trio
from support.harness import RefusedError, start_daemon

from codexd.clients import overrides
from codexd.simulator.options import Options

EMPTY = {"config_dir": "/nonexistent/.claude"}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "daemon")


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "claude"
    folder.mkdir()
    return folder


def env_of(place):
    return json.loads((place / "settings.json").read_text())["env"]


async def test_the_proof_is_a_request_that_the_backend_has_seen(running, place):
    running.load({"output": [{"text": "OK"}]})
    done = await running.call("claude.proxy", config_dir=str(place))
    proof = done["proof"]
    assert (proof["ok"], proof["status"], proof["model_used"]) == (True, 200, "gpt-5.5")
    assert proof["message"].startswith("gpt-5.5 answered in ")
    assert len(running.asked) == 1
    (request,) = (await running.call("requests.list"))["requests"]
    assert (request["id"], request["client"].startswith("codexd/")) == (proof["request"], True)
    assert env_of(place)["ANTHROPIC_BASE_URL"] == running.address
    assert done["mode"] == "codexd"


async def test_the_proof_carries_the_key_that_the_door_asks_for(nursery, tmp_path, place):
    environ = {"CODEXD_SERVER_API_KEY": "local-secret-1"}
    running = await start_daemon(nursery, tmp_path / "daemon", environ=environ)
    done = await running.call("claude.proxy", config_dir=str(place))
    assert done["proof"]["ok"]
    assert env_of(place)["ANTHROPIC_AUTH_TOKEN"] == "local-secret-1"
    assert "local-secret-1" not in json.dumps(done) + running.log_text()


async def test_without_an_account_it_says_so_and_stays_set_up(running, place):
    await running.call("accounts.clear")
    proof = (await running.call("claude.proxy", config_dir=str(place)))["proof"]
    assert (proof["ok"], proof["status"]) == (False, 401)
    assert "codexctl accounts add" in proof["message"]
    assert env_of(place)["ANTHROPIC_BASE_URL"] == running.address


async def test_a_used_up_plan_is_the_reason(running, place):
    used_up = {"type": "usage_limit_reached", "message": "used up", "plan_type": "plus", "resets_in_seconds": 7200}
    running.load({"times": 0, "error": {"status": 429, "body": {"error": used_up}}})
    proof = (await running.call("claude.proxy", config_dir=str(place)))["proof"]
    assert (proof["ok"], proof["status"]) == (False, 429)
    assert "available again in 2 h 0 min" in proof["message"]


async def test_a_dry_run_says_it_all_and_does_nothing(running, place):
    done = await running.call("claude.proxy", config_dir=str(place), dry_run=True)
    assert {"name": "ANTHROPIC_BASE_URL", "before": None, "after": running.address} in done["changes"]
    assert (done["proof"], done["backup"], running.asked) == (None, None, [])
    assert list(place.iterdir()) == []
    assert not (running.places.state_dir / "clients.json").exists()


async def test_the_undo_survives_a_restart(tmp_path, place):
    text = '{ "env": { "ANTHROPIC_API_KEY": "sk-ant-1", "B": "2" } }'
    (place / "settings.json").write_text(text)
    async with trio.open_nursery() as first:
        running = await start_daemon(first, tmp_path / "daemon")
        await running.call("claude.proxy", config_dir=str(place))
        first.cancel_scope.cancel()
    async with trio.open_nursery() as second:
        running = await start_daemon(second, tmp_path / "daemon")
        status = await running.call("claude.status", config_dir=str(place))
        assert status["can_reset"]
        assert (status["mode"], "codexd used to listen" in status["notes"][0]) == ("other", True)
        done = await running.call("claude.reset", config_dir=str(place))
        assert {"name": "ANTHROPIC_API_KEY", "before": None, "after": "(secret)"} in done["changes"]
        second.cancel_scope.cancel()
    assert (place / "settings.json").read_text() == text


async def test_status_says_that_the_models_are_others_by_now(running, place):
    await running.call("accounts.models", refresh=True)
    await running.call("settings.set", name="models.opus", value=["gpt-6.1-sol"])
    await running.call("claude.proxy", config_dir=str(place))
    assert (await running.call("claude.status", config_dir=str(place)))["notes"] == []
    await running.call("settings.set", name="models.opus", value=["gpt-5.5"])
    (note,) = (await running.call("claude.status", config_dir=str(place)))["notes"]
    assert "ANTHROPIC_DEFAULT_OPUS_MODEL_NAME, modelSettings.claude-opus-5-5.autoCompactWindow." in note
    await running.call("claude.proxy", config_dir=str(place))
    assert (await running.call("claude.status", config_dir=str(place)))["notes"] == []


@pytest.mark.parametrize(
    ("model", "is_offered"),
    [("claude-gpt-6.2-sol", False), ("claude-gpt-6.2-sol[1m]", False), ("claude-gpt-5.5", True), ("opus", True)],
)
async def test_status_says_that_the_chosen_model_is_not_offered(nursery, tmp_path, place, model, is_offered):
    options = Options(plan_models={"plus": frozenset({"gpt-5.5"})})
    running = await start_daemon(nursery, tmp_path / "limited", options=options)
    await running.call("accounts.models", refresh=True)
    (place / "settings.json").write_text(json.dumps({"model": model}))
    await running.call("claude.proxy", config_dir=str(place))
    notes = (await running.call("claude.status", config_dir=str(place)))["notes"]
    assert any(f"model = {model}" in note for note in notes) is not is_offered


async def test_status_says_that_the_key_is_another_by_now(running, place):
    await running.call("claude.proxy", config_dir=str(place))
    await running.call("settings.set", name="server.api_key", value="local-secret-1")
    status = await running.call("claude.status", config_dir=str(place))
    assert "server.api_key" in status["notes"][0]
    await running.call("claude.proxy", config_dir=str(place))
    assert (await running.call("claude.status", config_dir=str(place)))["notes"] == []


@pytest.mark.parametrize(
    ("shell", "project", "reason"),
    [
        pytest.param({}, {}, None, id="nothing"),
        pytest.param({"CLAUDE_CODE_USE_VERTEX": "1"}, {}, "uses Google Vertex AI", id="shell"),
        pytest.param({"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, {}, None, id="the-file-wins-over-the-shell"),
        pytest.param({}, {"ANTHROPIC_BASE_URL": "https://x.example.com"}, "https://x.example.com", id="project"),
    ],
)
async def test_proxy_says_what_wins_over_the_file(running, place, tmp_path, shell, project, reason):
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "settings.json").write_text(json.dumps({"env": project}))
    there = {"config_dir": str(place), "working_dir": str(tmp_path), "environment": shell}
    done = await running.call("claude.proxy", **there)
    status = await running.call("claude.status", **there)
    assert done["takes_effect"] is status["takes_effect"] is (reason is None)
    assert done["overridden_by"] == status["overridden_by"]
    assert (reason or "") in " ".join(done["overridden_by"])


async def test_claude_code_asks_first_until_it_is_put_back(running, place):
    before = '{"model": "sonnet"}'
    (place / "settings.json").write_text(before)
    there = {"config_dir": str(place)}
    done = await running.call("claude.proxy", **there)
    assert "auto mode" in " ".join(done["notes"])
    done = await running.call("claude.proxy", ask=True, **there)
    assert json.loads((place / "settings.json").read_text())["permissions"] == {"defaultMode": "default"}
    assert (await running.call("claude.status", **there))["permission_mode"] == "default"
    done = await running.call("claude.proxy", **there)  # what was chosen before stays
    assert done["changes"] == []
    assert "asks you before each action" in " ".join(done["notes"])
    await running.call("claude.reset", **there)
    assert (place / "settings.json").read_text() == before


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        ("kilo", True),
        ("claude-gpt-5.5", True),
        ("gpt-9[1m]", True),
        ("claude-opus-5-5", False),
        ("opus", False),
        (1, False),
    ],
)
async def test_a_model_that_only_codexd_knows_is_told_when_nothing_leads_to_it_any_more(running, place, model, is_told):
    """Claude Code's own picker writes it there, so it is not codexd's to take out."""
    (place / "settings.json").write_text(json.dumps({"model": model}))
    done = await running.call("claude.proxy", config_dir=str(place))
    assert not any("/model" in note for note in done["notes"])
    done = await running.call("claude.reset", config_dir=str(place))
    status = await running.call("claude.status", config_dir=str(place))
    for notes in (done["notes"], status["notes"]):
        assert any(f"model = {model}, " in note and "/model" in note for note in notes) is is_told


async def test_another_server_is_not_taken_for_a_former_address(running, place):
    await running.call("claude.proxy", config_dir=str(place))
    await running.call("claude.set", config_dir=str(place), api_url="http://127.0.0.1:4000")
    status = await running.call("claude.status", config_dir=str(place))
    assert (status["mode"], status["notes"]) == ("other", [])


async def test_what_leads_here_with_nothing_remembered_is_taken_out(running, place):
    await running.call("claude.proxy", config_dir=str(place))
    (running.places.state_dir / "clients.json").unlink()
    done = await running.call("claude.reset", config_dir=str(place))
    assert done["mode"] == "anthropic"
    assert json.loads((place / "settings.json").read_text()) == {}


async def test_status_says_what_is_there(running, place):
    status = await running.call("claude.status", config_dir=str(place))
    assert (status["exists"], status["mode"], status["values"], status["can_reset"]) == (False, "anthropic", [], False)
    env = {
        "ANTHROPIC_BASE_URL": "https://x.example.com",
        "ANTHROPIC_AUTH_TOKEN": "xk-1",
        "CLAUDE_CODE_USE_BEDROCK": "1",
    }
    (place / "settings.json").write_text(json.dumps({"env": env}))
    status = await running.call("claude.status", config_dir=str(place))
    assert (status["mode"], status["base_url"]) == ("other", "https://x.example.com")
    assert {"name": "ANTHROPIC_AUTH_TOKEN", "value": "(secret)"} in status["values"]
    assert not status["takes_effect"]
    assert "CLAUDE_CODE_USE_BEDROCK is set in " in status["overridden_by"][0]
    (place / "settings.json").write_text("{")
    status = await running.call("claude.status", config_dir=str(place))
    assert (status["mode"], "can't be edited" in status["problem"]) == (None, True)


async def test_direct_and_set(running, place):
    await running.call("claude.set", config_dir=str(place), api_url="https://x.example.com", api_key="xk-1")
    assert env_of(place) == {"ANTHROPIC_BASE_URL": "https://x.example.com", "ANTHROPIC_AUTH_TOKEN": "xk-1"}
    done = await running.call("claude.direct", config_dir=str(place), api_key="sk-ant-1")
    assert (env_of(place), done["mode"]) == ({"ANTHROPIC_API_KEY": "sk-ant-1"}, "anthropic")
    assert "xk-1" not in json.dumps(done)


@pytest.mark.parametrize(
    ("method", "params", "kind", "words"),
    [
        ("claude.set", {"api_url": "x.example.com", **EMPTY}, "request_invalid", "api_url: must be an http://"),
        ("claude.set", {"api_url": "https://h:99999", **EMPTY}, "request_invalid", "api_url: must be an http://"),
        ("claude.set", {"api_url": "https://h/ x\n", **EMPTY}, "request_invalid", "api_url: must be an http://"),
        ("claude.direct", {"api_key": "a\nb: c", **EMPTY}, "request_invalid", "api_key: must be printable ASCII"),
        ("claude.proxy", {"config_dir": "/a\0b"}, "request_invalid", "config_dir: must be an absolute path"),
        ("claude.proxy", {"config_dir": "claude"}, "request_invalid", "config_dir: must be an absolute path"),
        ("claude.direct", {"api_key": "", **EMPTY}, "request_invalid", "api_key: must be printable ASCII"),
        ("claude.proxy", {}, "request_invalid", "config_dir: is required"),
    ],
)
async def test_what_is_wrong_is_said(running, method, params, kind, words):
    with pytest.raises(RefusedError) as refused:
        await running.call(method, **params)
    assert (refused.value.kind, words in str(refused.value)) == (kind, True)


async def test_a_broken_file_is_refused_and_stays(running, place):
    (place / "settings.json").write_text('{"a": 1,}')
    for method in ("claude.proxy", "claude.direct", "claude.reset"):
        with pytest.raises(RefusedError) as refused:
            await running.call(method, config_dir=str(place))
        assert refused.value.kind == "client_file_refused"
    assert (place / "settings.json").read_text() == '{"a": 1,}'
    assert running.asked == []


async def test_the_environment_names_what_an_administrator_set(running, tmp_path, monkeypatch):
    monkeypatch.setattr(overrides, "CLAUDE_MANAGED", tmp_path)
    assert (await running.call("claude.environment"))["overridden_by"] == []
    managed = {"env": {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_BASE_URL": "https://corp.example.com"}}
    (tmp_path / "managed-settings.json").write_text(json.dumps(managed))
    bedrock, url = (await running.call("claude.environment"))["overridden_by"]
    assert "uses Amazon Bedrock" in bedrock
    assert "https://corp.example.com" in url
    assert "Only your administrator can change it." in url


async def test_the_environment_says_the_same_as_its_settings_file(running):
    found = await running.call("claude.environment")
    file = running.places.state_dir / "claude-run.json"
    assert (found["settings_path"], file.stat().st_mode & 0o777) == (str(file), 0o600)
    assert found["variables"]["ANTHROPIC_BASE_URL"] == running.address
    assert json.loads(file.read_text())["env"] == found["variables"] | dict.fromkeys(found["remove"], "")
    assert "ANTHROPIC_API_KEY" in found["remove"]
