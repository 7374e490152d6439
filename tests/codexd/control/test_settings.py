import pytest
from support.control_peer import connect, serving
from support.control_server import make_control

from codexd import rpc
from codexd.accounts.store.store import AccountStore
from codexd.settings.schema import SCHEMA

KEY = "a-long-s3cret"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(f"[server]\napi_key = '{KEY}' # hidden\n\n[log]\nlevel = 'debug'\n")
    return path


@pytest.fixture
async def call(tmp_path, file):
    """Calls a method; its result or the refusal."""
    with AccountStore.open(tmp_path) as store:
        control = make_control(tmp_path, store)
        async with serving(control):
            peer = await connect(control)

            async def call(method, **params):
                reply = await peer.call(method, params)
                return reply if isinstance(reply, rpc.Failure) else reply.result

            yield call


async def test_every_setting_is_listed_with_all_about_it(call, file):
    listed = await call("settings.list")
    assert [item["name"] for item in listed["settings"]] == list(SCHEMA)
    assert (listed["file"], listed["problem"]) == (str(file), None)
    by_name = {item["name"]: item for item in listed["settings"]}
    assert by_name["log.level"] == {
        "name": "log.level",
        "value": "debug",
        "default": "info",
        "source": str(file),
        "set_in_file": True,
        "fixed": False,
        "type": "string",
        "unit": None,
        "choices": ["debug", "info", "warning", "error"],
        "environ": ["CODEXD_LOG_LEVEL"],
        "meaning": "Lowest level that is logged",
        "secret": False,
        "restart_needed": False,
        "restart_pending": False,
        "warnings": [],
    }
    assert by_name["models.opus"]["value"] == ["gpt-5.5", "gpt-6.1-sol", "gpt-6.2-sol"]
    assert by_name["models.aliases"]["value"] == {}
    assert {item["type"] for item in listed["settings"]} == {
        "string",
        "integer",
        "number",
        "boolean",
        "names",
        "table",
    }
    restart = {"server.host", "server.port", "upstream.backend_url", "upstream.auth_url"}
    assert {item["name"] for item in listed["settings"] if item["restart_needed"]} == restart


async def test_a_secret_is_shown_to_who_asks_for_it_and_nowhere_else(call, file):
    listed = await call("settings.list")
    replies = [listed, await call("settings.set", name="server.api_key", value=f"{KEY}-2")]
    replies += [await call("daemon.status"), await call("settings.set", name="server.api_key", value=[KEY])]
    file.write_text(f"[server]\napi_key = '{KEY}-3'\n")
    replies += [await call("daemon.reload"), await call("logs.history")]
    assert KEY not in repr(replies)
    (api_key,) = (item for item in listed["settings"] if item["secret"])
    assert (api_key["name"], api_key["value"]) == ("server.api_key", "set")
    assert (await call("settings.get", name="server.api_key"))["value"] == f"{KEY}-3"
    unset = await call("settings.unset", name="server.api_key")
    assert unset["value"] is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("models.opus", ["a", "b"], ["a", "b"]),
        ("models.opus", "a, b", ["a", "b"]),
        ("models.aliases", {"a": "b"}, {"a": "b"}),
        ("rotation.enabled", "yes", True),
        ("log.history", "7", 7),
        ("upstream.idle_timeout", 7, 7.0),
    ],
)
async def test_what_is_set_is_told(call, file, name, value, told):
    info = await call("settings.set", name=name, value=value)
    assert (info["value"], info["source"], info["set_in_file"]) == (told, str(file), True)
    info = await call("settings.unset", name=name)
    assert (info["value"], info["source"], info["set_in_file"]) == (info["default"], "default", False)
    assert "# hidden" in file.read_text()


async def test_a_restart_is_told_of(call):
    assert (await call("settings.set", name="server.port", value=1))["restart_pending"]
    assert not (await call("settings.set", name="server.port", value=8081))["restart_pending"]


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("settings.get", {"name": "server.prot"}, "did you mean server.port?"),
        ("settings.set", {"name": "server.prot", "value": 1}, "did you mean server.port?"),
        ("settings.set", {"name": "log.level", "value": "loud"}, "must be one of debug, info"),
        ("settings.set", {"name": "server.api_key", "value": None}, "unset the setting instead"),
        ("settings.unset", {"name": "server.prot"}, "did you mean server.port?"),
        ("settings.write", {"text": "[log]\nlevel = 'loud'", "before": ""}, "by another program"),
        ("settings.set", {"name": "models.opus", "value": "\ud800"}, "surrogates not allowed"),
    ],
)
async def test_what_is_refused_and_why(call, file, method, params, said):
    before = file.read_text()
    if params.get("before") == "BEFORE":
        params = params | {"before": before}
    failure = await call(method, **params)
    assert said in failure.message
    assert failure.data["kind"] == "setting_invalid"
    assert file.read_text() == before


async def test_an_edit_is_read_checked_and_written(call, file):
    read = await call("settings.read")
    assert (read["file"], read["text"]) == (str(file), file.read_text())
    assert "# retention_days = 90" in read["template"]
    bad = read["text"].replace("debug", "loud").replace("api_key", "api_kez")
    assert len((await call("settings.check", text=bad))["problems"]) == 2
    good = read["text"].replace("debug", "error")
    assert (await call("settings.check", text=good))["problems"] == []
    assert (await call("settings.get", name="log.level"))["value"] == "debug"
    written = await call("settings.write", text=good, before=read["text"])
    assert written == {
        "changed": [{"name": "log.level", "before": "debug", "after": "error", "restart_needed": False}],
        "file": str(file),
    }
    assert file.read_text() == good


async def test_a_broken_file_is_a_problem_of_the_daemon_until_it_is_mended(call, file):
    text = file.read_text()
    file.write_text("[log]\nlevel = 'loud'\nhistory = 0\n")
    failure = await call("daemon.reload")
    assert failure.data["kind"] == "setting_invalid"
    assert len(failure.message.splitlines()) == 2
    assert (await call("settings.list"))["problem"] == failure.message
    assert (await call("daemon.status"))["problems"] == [failure.message]
    assert (await call("settings.get", name="log.level"))["value"] == "debug"
    file.write_text(text)
    assert (await call("daemon.reload"))["changed"] == []
    assert (await call("daemon.status"))["problems"] == []


async def test_one_key_of_a_table(call, file):
    assert (await call("settings.set", name="models.aliases.fast", value="gpt-5.5"))["value"] == "gpt-5.5"
    info = await call("settings.set", name="models.aliases.slow", value="gpt-5.4-mini")
    assert (info["name"], info["value"], info["default"], info["type"]) == (
        "models.aliases.slow",
        "gpt-5.4-mini",
        None,
        "string",
    )
    both = {"fast": "gpt-5.5", "slow": "gpt-5.4-mini"}
    assert (await call("settings.get", name="models.aliases"))["value"] == both
    assert (await call("settings.get", name="models.aliases.fast"))["value"] == "gpt-5.5"
    assert (await call("settings.unset", name="models.aliases.fast"))["value"] is None
    assert (await call("settings.get", name="models.aliases"))["value"] == {"slow": "gpt-5.4-mini"}
    assert "# hidden" in file.read_text()


@pytest.mark.parametrize(
    ("name", "value", "warnings"),
    [
        ("models.opus", "gpt-5.5", []),
        ("models.opus", "gpt-5.5,gpt-5.55", ["gpt-5.55 is not a known model. Did you mean gpt-5.5?"]),
        ("models.aliases.fast", "nope", ["nope is not a known model. `codexctl models` lists"]),
        ("models.aliases", "fast=nope,slow=gpt-5.5", ["nope is not a known model. `codexctl models` lists"]),
        ("models.aliases.free", "kilo", []),
        ("models.fast", "catalogue", []),
        ("models.default", "gpt-5.5", []),
        ("log.level", "debug", []),
    ],
)
async def test_unknown_models_are_taken_with_a_warning(call, name, value, warnings):
    info = await call("settings.set", name=name, value=value)
    assert len(info["warnings"]) == len(warnings)
    assert all(text.startswith(start) for text, start in zip(info["warnings"], warnings, strict=True))
