from types import SimpleNamespace

import pytest

from codexctl.command import Values
from codexctl.commands import load_commands
from codexctl.completion import _READERS, complete, find_values

KNOWN = {
    Values.ACCOUNTS: ["work@example.com", "home@example.com"],
    Values.SETTINGS: ["log.level", "server.port"],
    Values.REQUESTS: ["req_1", "req_2"],
    Values.RUNNING_REQUESTS: ["req_2"],
    Values.MODELS: ["gpt-5.5"],
    Values.FILES: ["a file"],
}


def lookup(kind, given):
    if kind is Values.SETTING_VALUES:
        return [(f"value of {given[-1]}", "")]
    return [(word, "") for word in KNOWN[kind]]


def words_for(line):
    """What can stand at the end of ``line``; a line that ends in a space begins a new word."""
    *before, current = line.split(" ")
    return [word for word, _ in complete(load_commands(), [*filter(None, before), current], lookup)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sta", ["status"]),
        ("accounts sw", ["switch"]),
        ("--json accounts sw", ["switch"]),
        ("--socket /x accounts sw", ["switch"]),
        ("--socket=/x accounts sw", ["switch"]),
        ("accounts switch ", KNOWN[Values.ACCOUNTS]),
        ("accounts switch w", ["work@example.com"]),
        ("accounts switch work@example.com ", []),
        ("accounts switch --dry-run ", KNOWN[Values.ACCOUNTS]),
        ("accounts switch --d", ["--dry-run"]),
        ("accounts switch --dry-run --d", []),
        ("accounts switch -- ", KNOWN[Values.ACCOUNTS]),
        ("quota --a", ["--all"]),
        ("quota work@example.com --a", []),
        ("quota --all ", []),
        ("quota --refresh ", KNOWN[Values.ACCOUNTS]),
        ("accounts add --device --no", []),
        ("accounts add --no", ["--no-browser"]),
        ("logs --level ", ["debug", "info", "warning", "error", "critical"]),
        ("logs --level w", ["warning"]),
        ("logs --level=w", ["--level=warning"]),
        ("logs --level warning --r", ["--request"]),
        ("logs --request ", KNOWN[Values.REQUESTS]),
        ("logs -n 5 --le", ["--level"]),
        ("logs --since ", []),
        ("why ", KNOWN[Values.REQUESTS]),
        ("requests ", ["cancel"]),
        ("requests cancel ", KNOWN[Values.RUNNING_REQUESTS]),
        ("requests --state c", ["cancelled"]),
        ("settings get l", ["log.level"]),
        ("help accounts sw", ["switch"]),
        ("help accounts switch ", []),
        ("settings set log.level ", ["value of log.level"]),
        ("settings set log.level debug ", []),
        ("test hello --model ", KNOWN[Values.MODELS]),
        ("accounts import ", KNOWN[Values.FILES]),
        ("--socket ", KNOWN[Values.FILES]),
        ("completion z", ["zsh"]),
        ("claude run --", []),
        ("nonsense ", []),
        ("nonsense --js", ["--json"]),
        ("--vers", ["--version"]),
        ("status --vers", []),
    ],
)
def test_what_can_come_next(line, expected):
    assert words_for(line) == expected


def test_a_candidate_comes_with_its_meaning():
    assert complete(load_commands(), ["stat"], lookup) == [
        ("status", "Show whether requests can be served, and what is wrong")
    ]
    assert complete(load_commands(), ["status", "--js"], lookup) == [("--json", "print JSON")]


def test_every_command_is_offered_where_its_words_end():
    for command in load_commands():
        assert command.words[-1] in words_for(" ".join([*command.words[:-1], ""])), command.words


def account(email="work@example.com", **changes):
    usual = {"plan": "plus", "active": False, "state": "ok", "simulated": False}
    return {"id": f"id-of-{email}", "email": email, "label": email} | usual | changes


def setting(name, value, default=None, **changes):
    usual = {"type": "string", "choices": None, "secret": False, "meaning": f"meaning of {name}"}
    return {"name": name, "value": value, "default": default} | usual | changes


DAEMON = SimpleNamespace(
    accounts=[
        account(active=True, simulated=True),
        account("twice@example.com", label="twice@example.com/3f9c2a1b"),
        account("twice@example.com", label="twice@example.com/b0b5e2d4", state="needs_login"),
        account("", label="nameless"),
    ],
    settings=[
        setting("log.level", "info", "info", choices=["debug", "info"]),
        setting("models.aliases", {"fast": "gpt-5.3"}, {}, type="table"),
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
    return dict(find_values(kind, given, DAEMON))


def test_accounts_are_offered_by_their_labels():
    assert values(Values.ACCOUNTS) == {
        "work@example.com": "plus, ok, active, simulated",
        "twice@example.com/3f9c2a1b": "plus, ok",
        "twice@example.com/b0b5e2d4": "plus, needs login",
        "nameless": "plus, ok",
    }


def test_settings_with_their_values():
    offered = values(Values.SETTINGS)
    assert offered["translation.strict"] == "true: meaning of translation.strict"
    assert offered["log.file"] == "meaning of log.file"
    assert offered["models.aliases.fast"] == "gpt-5.3"


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
        ("models.aliases.new", {"gpt-5.5": "", "gpt-5.4": "", "gpt-5.3": "", "gpt-6": ""}),
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


def test_only_running_requests_can_be_cancelled():
    assert list(values(Values.RUNNING_REQUESTS)) == ["req_2"]


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
