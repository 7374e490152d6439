import os
from pathlib import Path

import pytest

from codexctl.service.manager import Machine
from codexctl.service.steps import Call, MakeFolder, Move, Remove, Run, StepFailed, Write, remove_empty, take, to_json


@pytest.fixture
def machine(tmp_path):
    return Machine("linux", {"PATH": os.environ["PATH"]}, tmp_path, os.getuid(), "me")


def fail():
    raise StepFailed("it broke")


BREAK = Call("break", fail)


def test_steps_are_taken_in_order_and_told(tmp_path, machine):
    (tmp_path / "old").write_text("old")
    said = []
    steps = [
        MakeFolder(tmp_path / "folder"),
        Move(tmp_path / "old", tmp_path / "folder" / "kept"),
        Write(tmp_path / "a" / "b" / "new", "text"),
        Run(("cp", str(tmp_path / "a" / "b" / "new"), str(tmp_path / "copy"))),
        Run(("false",), may_fail=True),
        Remove(tmp_path / "copy", "text"),
    ]
    take(steps, machine, said.append)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "new").stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.rglob("*") if each.is_file()) == ["kept", "new"]
    assert said[2] == f"create {tmp_path / 'a' / 'b' / 'new'}"


def test_a_failed_step_takes_back_those_before_it_and_the_manager_hears_of_it(tmp_path, machine):
    for name in ("changed", "gone", "moved"):
        (tmp_path / name).write_text(name)
    log = tmp_path / "log"
    shell = ("sh", "-c")
    steps = [
        Write(tmp_path / "folder" / "new", "text"),
        Write(tmp_path / "changed", "text", "changed"),
        Remove(tmp_path / "gone", "gone"),
        Move(tmp_path / "moved", tmp_path / "elsewhere"),
        Run((*shell, f"echo on >>{log}"), (*shell, f"echo off >>{log}")),
        BREAK,
    ]
    with pytest.raises(StepFailed, match=r"it broke\nIt was undone"):
        take(steps, machine, lambda _: None, [(*shell, f"echo reload >>{log}")])
    assert log.read_text().split() == ["on", "off", "reload"]
    log.unlink()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        name: name for name in ("changed", "gone", "moved")
    }


def test_what_could_not_be_undone_is_said(tmp_path, machine):
    steps = [Run(("true",), ("sh", "-c", "echo no >&2; exit 3")), Write(tmp_path / "x", "y"), BREAK]
    with pytest.raises(StepFailed) as failed:
        take(steps, machine, lambda _: None)
    assert str(failed.value).splitlines()[1:] == [
        "What was done before it could not all be undone:",
        "  true: `sh -c 'echo no >&2; exit 3'` failed: no",
    ]
    assert not (tmp_path / "x").exists()


def test_a_command_that_failed_half_way_is_taken_back_too(tmp_path, machine):
    log = tmp_path / "log"
    with pytest.raises(StepFailed):
        take([Run(("sh", "-c", "exit 1"), ("sh", "-c", f"echo off >>{log}"))], machine, lambda _: None)
    assert log.read_text() == "off\n"


def test_what_a_call_has_ended_for_good_is_said(machine):
    steps = [Call("stop it", lambda: None, "it stays stopped"), Run(("false",))]
    with pytest.raises(StepFailed) as failed:
        take(steps, machine, lambda _: None)
    assert str(failed.value).splitlines()[1:] == [
        "What was done before it could not all be undone:",
        "  stop it: it stays stopped",
    ]


def test_ctrl_c_takes_all_back(tmp_path, machine):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take([Write(tmp_path / "a" / "x", "y"), Call("wait", interrupt)], machine, lambda _: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Run(("false",), advice="Ask somebody."), "failed: exit status 1 Ask somebody."),
        (Run(("sh", "-c", "echo out; echo why >&2; exit 1")), "failed: why"),
        (Run(("sh", "-c", "echo out; exit 1")), "failed: out"),
        (Run(("sh", "-c", "exit 7")), "failed: exit status 7"),
        (Run(("no-such-program",)), "no-such-program: not found"),
        (Write(Path("/dev/null/x"), "y"), "/dev/null can't be changed: "),
    ],
)
def test_a_failure_is_explained(machine, step, said):
    with pytest.raises(StepFailed) as failed:
        take([step], machine, lambda _: None)
    assert said in str(failed.value)
    assert "undone" not in str(failed.value)


def test_a_change_is_shown_as_a_diff_and_a_new_file_in_full():
    assert Write(Path("/x"), "a\nb\n").difference() == ["+a", "+b"]
    assert Write(Path("/x"), "a\nc\n", "a\nb\n").difference() == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (Remove(Path("/x"), ""), {"action": "remove", "words": "remove /x", "path": "/x"}),
        (Move(Path("/x"), Path("/y")), {"action": "move", "words": "move /x to /y", "path": "/x", "to": "/y"}),
        (MakeFolder(Path("/x")), {"action": "make_folder", "words": "create /x", "path": "/x"}),
        (Run(("a", "b c")), {"action": "run", "words": "a 'b c'", "command": ["a", "b c"]}),
        (BREAK, {"action": "do", "words": "break"}),
    ],
)
def test_a_step_as_json(step, shown):
    assert to_json(step) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Environment=HTTPS_PROXY=http://me:pw@proxy:1", "Environment=HTTPS_PROXY=http://***@proxy:1"),
        ('Environment="CODEXD_SERVER_API_KEY=s k"', 'Environment="CODEXD_SERVER_API_KEY=***"'),
        ('Environment="CODEXD_SERVER_API_KEY=s\\"k" "A=1"', 'Environment="CODEXD_SERVER_API_KEY=***" "A=1"'),
        ("Environment=HTTPS_PROXY=http://me:p@w@proxy:1", "Environment=HTTPS_PROXY=http://***@proxy:1"),
        ("<string>socks5://u:p@h</string>", "<string>socks5://***@h</string>"),
        ("<key>A_TOKEN</key>\n\t<string>s</string>", "<key>A_TOKEN</key>\n+\t<string>***</string>"),
        ("ListenStream=127.0.0.1:8081", "ListenStream=127.0.0.1:8081"),
    ],
)
def test_secrets_are_not_shown(line, shown):
    assert to_json(Write(Path("/x"), line))["diff"] == f"+{shown}".splitlines()


def test_only_empty_folders_are_removed(tmp_path):
    for name in ("empty", "full/x"):
        (tmp_path / name).mkdir(parents=True)
    remove_empty([tmp_path / "full", tmp_path / "empty", tmp_path / "none"])
    assert [each.name for each in tmp_path.iterdir()] == ["full"]
