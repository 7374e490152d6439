"""Methods by their names, without a socket: JSON in, JSON or a refusal out."""

import importlib
import json
import os
from pathlib import Path
from types import MappingProxyType

import attrs
import pytest
from support.control_server import NOW, auth_json, make_call, make_control

from codexd import control
from codexd.accounts.store.store import AccountStore
from codexd.api import accounts, records
from codexd.control.dispatch import METHODS, Refusal, Result, dispatch, event_to_json, read_params, to_json
from codexd.control.method import Method
from codexd.control.openrpc import describe
from codexd.errors import RequestInvalid
from codexd.rpc import ErrorCode


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_example_is_valid(method):
    assert isinstance(read_params(method.params, dict(method.example)), method.params)
    assert method.summary


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("logs.history", {"limit": "5"}, "limit: must be an integer"),
        ("logs.history", {"limit": True}, "limit: must be an integer"),
        ("logs.history", {"limit": None}, "limit: must be an integer"),
        ("logs.history", {"limit": 1.5}, "limit: must be an integer"),
        ("logs.history", {"limit": -1}, "limit: must be from 0 to 1000000"),
        ("logs.history", {"level": "loud"}, "level: must be one of debug, info, warning, error, critical"),
        ("logs.history", {"since": float("inf")}, "since: must be a number"),
        ("logs.history", {"contains": 1}, "contains: must be a string"),
        (
            "logs.history",
            {"contains": "\ud800"},
            "contains: must not contain a lone surrogate (half of a character)",
        ),
        (
            "claude.status",
            {"config_dir": "/\udfff"},
            "config_dir: must not contain a lone surrogate (half of a character)",
        ),
        ("logs.history", {"grep": "x"}, "grep: unknown parameter"),
        ("daemon.status", {"x": 1}, "x: unknown parameter"),
        ("logs.history", ["x"], "params: must be an object: parameters are given by name"),
        ("accounts.switch", {}, "account: is required"),
        ("accounts.switch", {"account": None}, "account: must be a string"),
        ("accounts.switch", {"account": ""}, "account: must not be empty"),
        ("accounts.import", {"source": ""}, "source: must not be empty"),
    ],
)
def test_a_bad_param_is_named(name, params, message):
    with pytest.raises(RequestInvalid) as caught:
        read_params(METHODS[name].params, params)
    assert str(caught.value) == message


def test_a_whole_number_is_a_number_of_any_size():
    """SQLite takes no integer of more than 64 bits."""
    params = read_params(METHODS["usage.summary"].params, {"since": 10**30})
    assert (type(params.since), params.since) == (float, 1e30)


def test_a_path_may_consist_of_bytes_that_are_not_utf_8():
    assert read_params(METHODS["claude.status"].params, {"config_dir": "/\udcff"}).config_dir == os.fsdecode(b"/\xff")


def test_left_out_params_have_their_defaults():
    assert read_params(METHODS["logs.history"].params, None) == records.LogsHistory()
    assert read_params(METHODS["logs.follow"].params, {"since": 3, "level": None}) == records.LogsFollow(since=3)


def test_results_are_plain_json():
    window = accounts.QuotaWindow("5h", 12.5, 18000, None)
    ref = accounts.AccountRef("id", "work@example.com", "work@example.com", "plus", False)
    info = accounts.AccountInfo("id", "a@b.c", "a@b.c", "plus", True, "ok", None, 2.0, 1.0, None, (window,), False)
    for value in (accounts.AccountList((info,), "id"), accounts.ImportedAccounts((ref,), (), (), (), None)):
        plain = to_json(value)
        assert json.loads(json.dumps(plain)) == plain


def test_an_event_says_only_what_it_is_about():
    entry = records.LogEntry(1, 2.0, "info", "codexd", "hello", None, {"n": [1, {"a": None}]})
    assert event_to_json(records.LogEvent(missed=3)) == {"missed": 3}
    assert event_to_json(records.LogEvent(entry)) == {
        "entry": {
            "id": 1,
            "at": 2.0,
            "level": "info",
            "logger": "codexd",
            "message": "hello",
            "request": None,
            "fields": {"n": [1, {"a": None}]},
        }
    }


@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), object(), b"bytes", bytearray(), 1j, {"deep": [float("inf")]}, {1, b"x"}]
)
def test_what_json_has_no_form_for_is_refused(value):
    with pytest.raises(TypeError, match="JSON can't represent"):
        to_json(value)


def test_collections_and_enums_become_plain():
    assert to_json({"a": (1, (None,)), "b": MappingProxyType({"c": ErrorCode.REFUSED}), "d": {2.5}}) == {
        "a": [1, [None]],
        "b": {"c": -32000},
        "d": [2.5],
    }


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def call(tmp_path, store):
    return make_call(make_control(tmp_path, store))


NOT_FOUND = ErrorCode.METHOD_NOT_FOUND
INVALID = ErrorCode.INVALID_PARAMS
REFUSED = ErrorCode.REFUSED


@pytest.mark.parametrize(
    ("name", "params", "outcome"),
    [
        ("accounts.list", None, Result({"accounts": [], "active": None})),
        ("accounts.list", {}, Result({"accounts": [], "active": None})),
        ("accounts.clear", None, Result({"removed": 0})),
        ("accounts.quota", {"all": True}, Result({"accounts": []})),
        ("accounts.login.cancel", None, Result({"cancelled": 0})),
        (
            "daemon.stop",
            None,
            Result(
                {
                    "streams_in_flight": 0,
                    "drain_seconds": 30.0,
                    "service": {"manager": "systemd", "unit": "codexd.service", "activated": True},
                }
            ),
        ),
        ("logs.history", {"limit": 3}, Result({"entries": []})),
        ("requests.list", {"state": "failed"}, Result({"requests": []})),
        ("settings.check", {"text": ""}, Result({"problems": []})),
        ("accounts.list", {"x": 1}, Refusal(INVALID, "request_invalid", "x: unknown parameter", "x")),
        (
            "accounts.list",
            [],
            Refusal(INVALID, "request_invalid", "params: must be an object: parameters are given by name", "params"),
        ),
        (
            "requests.list",
            {"limit": "5"},
            Refusal(INVALID, "request_invalid", "limit: must be an integer", "limit"),
        ),
        (
            "accounts.import",
            {"source": "auth.json"},
            Refusal(
                INVALID,
                "request_invalid",
                "source: must be codex, codex-claude-proxy, or the absolute path of a login file",
                "source",
            ),
        ),
        (
            "subscription.cancel",
            {"subscription": 7},
            Refusal(INVALID, "request_invalid", "subscription: this connection has no subscription 7", "subscription"),
        ),
        (
            "accounts.token",
            None,
            Refusal(
                REFUSED,
                "no_account",
                "No account is signed in. Run `codexctl accounts add`, or `codexctl accounts import` to use the Codex "
                "CLI's login.",
            ),
        ),
        ("no.such", None, Refusal(NOT_FOUND, "method_not_found", "There is no method no.such")),
        ("__class__", {}, Refusal(NOT_FOUND, "method_not_found", "There is no method __class__")),
        ("x" * 100, {}, Refusal(NOT_FOUND, "method_not_found", f"There is no method {'x' * 80}")),
    ],
)
async def test_a_call_by_name(call, name, params, outcome):
    assert await dispatch(call, name, params) == outcome


async def test_a_refusal_has_the_kind_of_its_error(call):
    refused = await dispatch(call, "accounts.switch", {"account": "nobody"})
    assert (refused.code, refused.kind, refused.path) == (REFUSED, "account_not_found", None)
    assert "nobody" in refused.message


async def test_the_function_of_a_method_works_on_the_daemon(call, store):
    account, _ = store.add(auth_json(), now=NOW)
    other, _ = store.add(auth_json("home@example.com"), now=NOW)
    switched = (await dispatch(call, "accounts.switch", {"account": "home"})).value
    assert (switched["previous"]["id"], switched["account"]["id"]) == (account.id, other.id)
    assert store.active == other


async def test_a_follow_is_given_to_the_session(call):
    assert await dispatch(call, "logs.follow", {"limit": 1}) == Result({"subscription": 1})
    assert await dispatch(call, "requests.follow", None) == Result({"subscription": 2})
    assert call.session.methods == ["logs.follow", "requests.follow"]
    assert await dispatch(call, "subscription.cancel", {"subscription": 1}) == Result({"subscription": 1})
    assert isinstance(await dispatch(call, "subscription.cancel", {"subscription": 1}), Refusal)


async def test_a_disk_that_refuses_is_named_and_logged(call, store, caplog):
    account, _ = store.add(auth_json(), now=NOW)
    file = call.control.places.state_dir / "accounts.json"
    file.unlink()
    file.mkdir()  # os.replace onto a folder fails, for root too
    refused = await dispatch(call, "accounts.switch", {"account": account.id})
    assert (refused.code, refused.kind) == (REFUSED, "os_error")
    assert (
        refused.message
        == f"accounts.switch failed. {file} can't be used: Is a directory. It is a folder; move it away."
    )
    assert "accounts.switch failed" in caplog.text


async def test_a_bug_is_an_internal_error_and_a_log_entry(call, caplog):
    buggy = attrs.evolve(call, control=attrs.evolve(call.control, usage=None))
    assert await dispatch(buggy, "usage.summary", None) == Refusal(
        ErrorCode.INTERNAL_ERROR, "internal", "usage.summary failed because of a bug; see codexd's log"
    )
    assert "AttributeError" in caplog.text


async def test_discover_describes_what_can_be_called(call):
    document = (await dispatch(call, "rpc.discover", None)).value
    assert document == to_json(describe(METHODS.values()))
    assert [method["name"] for method in document["methods"]] == list(METHODS)


@pytest.mark.parametrize("topic", sorted(path.stem for path in Path(control.__file__).parent.glob("*.py")))
def test_every_method_that_is_declared_can_be_called(topic):
    module = importlib.import_module(f"codexd.control.{topic}")
    declared = [value for value in vars(module).values() if isinstance(value, Method)]
    assert [METHODS.get(method.name) for method in declared] == declared
