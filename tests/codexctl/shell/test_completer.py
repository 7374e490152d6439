import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from codexctl.commands import load_commands
from codexctl.shell.completer import ShellCompleter, find_files, raw_length, read_words
from codexctl.shell.watch import Facts


def account(email="work@example.com", **changes):
    usual = {"plan": "plus", "active": True, "state": "ok", "quota": [], "quota_stale": False, "simulated": False}
    return {"id": f"id-of-{email}", "email": email, "label": email} | usual | changes


def setting(name, value, default=None, **changes):
    usual = {"type": "string", "choices": None, "secret": False, "meaning": f"meaning of {name}"}
    return {"name": name, "value": value, "default": default} | usual | changes


FACTS = Facts(
    accounts=[account()],
    settings=[setting("log.level", "info", "info", choices=["debug", "info"])],
)


def test_files(tmp_path):
    (tmp_path / "auth.json").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "folder").mkdir()
    assert dict(find_files(f"{tmp_path}/a")) == {f"{tmp_path}/auth.json": "", f"{tmp_path}/folder/": ""}
    assert f"{tmp_path}/.hidden" in dict(find_files(f"{tmp_path}/."))
    assert list(find_files(f"{tmp_path}/nowhere/a")) == []


def completions(text):
    completer = ShellCompleter(load_commands(), lambda: FACTS)
    return {
        text[: len(text) + each.start_position] + each.text
        for each in completer.get_completions(Document(text), CompleteEvent())
    }


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("accounts sw", {"accounts switch"}),
        ("codexctl accounts sw", {"codexctl accounts switch"}),
        ("accounts switch w", {"accounts switch work@example.com"}),
        ("accounts switch 'w", set()),
        ("settings set log.level d", {"settings set log.level debug"}),
        ("help accounts sw", {"help accounts switch"}),
        ("logs --level warn", {"logs --level warning"}),
    ],
)
def test_completion(typed, expected):
    assert completions(typed) == expected


def test_words_as_they_are_typed():
    assert read_words("") == [""]
    assert read_words("codexctl") == ["codexctl"]
    assert read_words("a 'b c' ") == ["a", "b c", ""]
    assert [raw_length(text) for text in ("", "a ", "ab cd")] == [0, 0, 2]
