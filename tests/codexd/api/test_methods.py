import json
import os

import pytest

from codexd.api import accounts, records
from codexd.api.convert import read_params, to_json
from codexd.api.methods import METHODS
from codexd.errors import RequestInvalid


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_example_is_valid(method):
    assert isinstance(read_params(method, dict(method.example)), method.params)
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
        ("logs.history", {"contains": "\ud800"}, "contains: holds half of a surrogate pair, which is no character"),
        (
            "claude.status",
            {"config_dir": "/\udfff"},
            "config_dir: holds half of a surrogate pair, which is no character",
        ),
        ("logs.history", {"grep": "x"}, "grep: is no param of this method"),
        ("daemon.status", {"x": 1}, "x: is no param of this method"),
        ("logs.history", ["x"], "params: must be an object: params are given by name"),
        ("accounts.switch", {}, "account: is required"),
        ("accounts.switch", {"account": None}, "account: must be a string"),
        ("accounts.switch", {"account": ""}, "account: must not be empty"),
        ("accounts.import", {"source": ""}, "source: must not be empty"),
    ],
)
def test_a_bad_param_is_named(name, params, message):
    with pytest.raises(RequestInvalid) as caught:
        read_params(METHODS[name], params)
    assert str(caught.value) == message


def test_a_whole_number_is_a_number_of_any_size():
    """SQLite takes no integer of more than 64 bits."""
    params = read_params(METHODS["usage.summary"], {"since": 10**30})
    assert (type(params.since), params.since) == (float, 1e30)


def test_a_path_may_be_of_bytes_that_are_no_utf_8():
    assert read_params(METHODS["claude.status"], {"config_dir": "/\udcff"}).config_dir == os.fsdecode(b"/\xff")


def test_left_out_params_have_their_defaults():
    assert read_params(METHODS["logs.history"], None) == records.LogsHistory()
    assert read_params(METHODS["logs.follow"], {"since": 3, "level": None}) == records.LogsFollow(since=3)


def test_results_are_plain_json():
    window = accounts.QuotaWindow("5h", 12.5, 18000, None)
    ref = accounts.AccountRef("id", "work@example.com", "plus", False)
    info = accounts.AccountInfo("id", "a@b.c", "plus", True, "ok", None, 2.0, 1.0, None, (window,), False)
    for value in (accounts.AccountList((info,), "id"), accounts.ImportedAccounts((ref,), (), (), (), None)):
        plain = to_json(value)
        assert json.loads(json.dumps(plain)) == plain


def test_an_event_says_only_what_it_is_about():
    entry = records.LogEntry(1, 2.0, "info", "codexd", "hello", None, {"n": [1, {"a": None}]})
    assert to_json(records.LogEvent(missed=3)) == {"missed": 3}
    assert to_json(records.LogEvent(entry)) == {
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
