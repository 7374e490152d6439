from pathlib import Path

import pytest

from codexd.doctor.finding import (
    Level,
    Report,
    Section,
    end,
    find_command,
    list_paths,
    note,
    ok,
    problem,
    shell,
    to_json,
    warning,
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Run `codexctl accounts add` to sign in again, or `codexctl stop`.", "codexctl accounts add"),
        ("The file `/etc/x` is missing.", None),
        ("Nothing to do.", None),
        ("An `unfinished one.", None),
    ],
)
def test_the_first_command_that_a_text_advises(text, command):
    assert find_command(text) == command


def test_only_problems_make_a_report_unhealthy():
    fine = (ok("a", "x", "."), note("b", "x", "."), warning("c", "x", "."))
    assert Report("1", 0.0, (Section("t", "T", fine),)).is_healthy
    assert not Report("1", 0.0, (Section("t", "T", (*fine, problem("d", "x", "."))),)).is_healthy


def test_as_json():
    found = warning("loose", Path("/x"), "It is loose.", "fix it")
    assert to_json(Report("1.2", 5.0, (Section("files", "Files", (found,)),))) == {
        "ok": True,
        "version": "1.2",
        "checked_at": 5.0,
        "sections": [
            {
                "topic": "files",
                "title": "Files",
                "findings": [
                    {
                        "kind": "loose",
                        "level": Level.WARNING.value,
                        "about": "/x",
                        "text": "It is loose.",
                        "remedy": "fix it",
                    }
                ],
            }
        ],
    }


def test_words():
    assert [end(text) for text in ("It ends", "It ends.", "Does it?")] == ["It ends.", "It ends.", "Does it?"]
    assert shell("mv -n", Path("/a b"), "c") == "mv -n '/a b' c"
    assert list_paths([Path("/a"), Path("/b")]) == "/a, /b"
    assert list_paths([Path(f"/{name}") for name in "abcde"]) == "/a, /b, /c and 2 more"
