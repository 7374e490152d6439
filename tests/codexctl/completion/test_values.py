from types import SimpleNamespace

import pytest

from codexctl.completion.values import _READERS, find_values
from codexctl.invocation import Values


def account(email="work@example.com", **changes):
    usual = {"plan": "plus", "active": False, "state": "ok", "simulated": False}
    return {"id": f"id-of-{email}", "email": email} | usual | changes


def setting(name, value, default=None, **changes):
    usual = {"type": "string", "choices": None, "secret": False, "meaning": f"meaning of {name}"}
    return {"name": name, "value": value, "default": default} | usual | changes


KNOWN = SimpleNamespace(
    accounts=[
        account(active=True, simulated=True),
        account("twice@example.com"),
        account("twice@example.com", id="second", state="needs_login"),
        account("", id="nameless"),
    ],
    settings=[
        setting("log.level", "info", "info", choices=["debug", "info"]),
        setting("log.file", None),
        setting("translation.strict", value=True, default=False, type="boolean"),
        setting("models.opus", ["gpt-5.5", "gpt-5.4"], ["gpt-5.5"], type="names"),
        setting("server.api_key", "set", secret=True),
        setting("usage.retention_days", 30, 90, type="integer"),
    ],
    requests=[
        {"id": "req_1", "state": "done", "model": "opus", "model_used": "gpt-5.3", "client": "curl"},
        {"id": "req_2", "state": "running", "model": None, "model_used": None, "client": "curl"},
    ],
    models=[
        {"id": "gpt-5.5", "name": "GPT-5.5", "listed": True},
        {"id": "gpt-6", "name": "GPT-6", "listed": True},
        {"id": "gpt-hidden", "name": "Hidden", "listed": False},
    ],
)
NOTHING_KNOWN = SimpleNamespace(accounts=(), settings=(), requests=(), models=())


def values(kind, *given):
    return dict(find_values(kind, given, KNOWN))


def test_accounts_are_offered_by_a_name_that_is_theirs_alone():
    assert values(Values.ACCOUNTS) == {
        "work@example.com": "plus, ok, active, simulated",
        "id-of-twice@example.com": "twice@example.com, plus, ok",
        "second": "twice@example.com, plus, needs login",
        "nameless": "plus, ok",
    }


def test_settings_with_their_values():
    offered = values(Values.SETTINGS)
    assert offered["translation.strict"] == "true: meaning of translation.strict"
    assert offered["log.file"] == "meaning of log.file"


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("log.level", {"debug": "", "info": "now, default"}),
        ("log.file", {}),
        ("translation.strict", {"true": "now", "false": "default"}),
        ("usage.retention_days", {"30": "now", "90": "default"}),
        (
            "models.opus",
            {"gpt-5.5,gpt-5.4": "now", "gpt-5.5": "default", "gpt-5.4": "", "gpt-5.3": "", "gpt-6": ""},
        ),
        ("server.api_key", {}),
        ("no.such_setting", {}),
    ],
)
def test_values_of_a_setting(name, offered):
    assert values(Values.SETTING_VALUES, name) == offered


def test_requests_the_newest_first():
    assert list(values(Values.REQUESTS).items()) == [
        ("req_2", "running, no model, from curl"),
        ("req_1", "done, opus, from curl"),
    ]


def test_models_that_are_named_used_or_offered():
    assert values(Values.MODELS) == {
        "gpt-5.5": "models.opus",
        "gpt-5.4": "models.opus",
        "gpt-5.3": "used",
        "gpt-6": "GPT-6",
    }


def test_what_an_argument_stands_for_is_known_here_or_is_a_file():
    assert set(_READERS) == set(Values) - {Values.FILES}
    assert all(list(find_values(kind, ["x"], NOTHING_KNOWN)) == [] for kind in _READERS)
