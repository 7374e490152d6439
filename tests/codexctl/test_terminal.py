import io
import os
import sys

import pytest

from codexctl.terminal import LineInput, Spinner, Waiting, confirm, say


@pytest.fixture
def pipe():
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "wb", buffering=0) as writer:
        yield LineInput(ours), writer


def test_lines_come_when_they_are_complete(pipe):
    lines, writer = pipe
    writer.write(b"one\ntw")
    assert lines.read() == ["one"]
    writer.write("o é\r\n\nthr".encode())
    assert lines.read() == ["two é", ""]
    writer.close()
    assert lines.read() == ["thr"]
    assert lines.read() is None


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("yep\n", False), ("", False)]
)
def test_only_yes_confirms(answer, agreed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert confirm("Really?") is agreed
    assert capsys.readouterr().err == "Really? [y/N] " + ("" if answer else "\n")


def test_messages_go_to_stderr_without_control_sequences(capsys):
    say("first\nsecond \x1b[2J")
    assert capsys.readouterr() == ("", "codexctl: first\nsecond \\x1b[2J\n")


def test_without_a_terminal_there_is_no_progress_line(capsys):
    spinner = Spinner({"TERM": "xterm"})
    spinner.turn("waiting")
    spinner.clear()
    assert capsys.readouterr() == ("", "")


def test_waiting_is_shown_after_a_moment_and_cleared(monkeypatch, capsys):
    monkeypatch.setattr("codexctl.terminal.Spinner.turn", lambda _, text: say(text))
    monkeypatch.setattr("codexctl.terminal.Spinner.clear", lambda _: say("cleared"))
    waiting = Waiting({"TERM": "xterm"}, "asking the backend")
    waiting.turn(0.2)
    waiting.clear()
    assert capsys.readouterr().err == ""
    for waited_s in (0.4, 2.9, 3.2):
        waiting.turn(waited_s)
    waiting.clear()
    assert capsys.readouterr().err.splitlines() == [
        "codexctl: asking the backend",
        "codexctl: asking the backend",
        "codexctl: asking the backend (3 s)",
        "codexctl: cleared",
    ]
