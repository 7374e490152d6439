"""The document of ``rpc.discover``, and the daemon held to it."""

import copy

import pytest
import trio
from support.harness import HELLO, RefusedError, post, start_daemon
from support.openrpc_schemas import Checker, meta_validator

from codexd import rpc
from codexd.control.dispatch import METHODS, to_json
from codexd.control.openrpc import describe, kinds_of
from codexd.errors import AccountNeedsLogin, CodexdError

ANYWHERE = {"request_invalid", "shutting_down"}
"""Kinds that need not be declared: params that are not valid for this daemon, and its end."""


@pytest.fixture(scope="module")
def document():
    return to_json(describe(METHODS.values()))


def test_it_is_what_the_meta_schema_asks_for(document):
    meta_validator().validate(document)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(openrpc="9"),
        lambda document: document["methods"][0].pop("params"),
        lambda document: document["methods"][0].update(surprise=1),
        lambda document: document["methods"][-1]["result"].update(schema={"type": "text"}),
        lambda document: document["components"]["schemas"]["DaemonStatus"].update(required="all"),
    ],
)
def test_the_meta_schema_would_notice(document, spoil):
    spoilt = copy.deepcopy(document)
    spoil(spoilt)
    assert not meta_validator().is_valid(spoilt)


def test_every_reference_leads_somewhere(document):
    found = set()

    def walk(value):
        if isinstance(value, dict):
            found.update([value["$ref"]] if "$ref" in value else [])
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(document["methods"])
    walk(document["components"])
    assert found == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_it_has_every_method(document):
    assert [method["name"] for method in document["methods"]] == list(METHODS)


def test_a_method(document):
    (method,) = (method for method in document["methods"] if method["name"] == "logs.follow")
    assert method["summary"] == "Log entries as they come"
    assert "`contains` a text looked for" in method["description"]
    assert "`limit`: so many entries of the past" in method["description"]
    (level,) = (param for param in method["params"] if param["name"] == "level")
    assert level["required"] is False
    assert "warning" in level["schema"]["anyOf"][0]["enum"]
    assert method["result"] == {"name": "Subscription", "schema": {"$ref": "#/components/schemas/Subscription"}}
    assert method["x-event"]["name"] == "logs.follow.event"
    assert {"name": "limit", "value": 10} in method["examples"][0]["params"]


def test_no_optional_param_stands_before_a_required_one(document):
    for method in document["methods"]:
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True), method["name"]


def test_an_error_stands_for_those_below_it():
    assert kinds_of(AccountNeedsLogin) == {"account_needs_login", "followed_login_stale", "fresh_token_refused"}
    assert "upstream_timeout" in kinds_of(CodexdError)


@pytest.fixture
def safe_home(tmp_path, monkeypatch):
    """Files of other programs that a method reads or writes are below it, and none of the person's who tests."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return tmp_path


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
async def test_every_example_is_answered_as_documented(nursery, safe_home, method):
    running = await start_daemon(nursery, safe_home)
    checker = Checker(await running.call("rpc.discover"))
    await running.sign_in("work@example.com")
    assert (await post(running, HELLO)).status_code == 200
    try:
        result = await running.call(method.name, **method.example)
    except RefusedError as error:
        assert error.kind in checker.kinds(method.name) | ANYWHERE, f"declare {error.kind} at the method: {error}"
    else:
        checker.check_result(method.name, result)


@pytest.mark.parametrize(
    "method", [method for method in METHODS.values() if method.event], ids=lambda method: method.name
)
async def test_events_are_as_documented(nursery, safe_home, method):
    running = await start_daemon(nursery, safe_home)
    checker = Checker(await running.call("rpc.discover"))
    stream = await trio.open_unix_socket(str(running.places.socket))
    async with stream:
        await stream.send_all(rpc.encode(rpc.Request(1, method.name)))
        assert (await post(running, HELLO)).status_code == 200
        connection, received = rpc.Connection(), []
        with trio.fail_after(10):
            while not any(isinstance(one, rpc.Notification) for one in received):
                received += connection.receive_data(bytes(await stream.receive_some()))
    for event in received:
        if isinstance(event, rpc.Notification):
            assert event.method == checker.methods[method.name]["x-event"]["name"]
            checker.check_event(method.name, event.params)
