"""The program itself: ``test_cli`` has its commands."""

import io
import shlex
import subprocess
import sys

import pytest

from codexctl.__main__ import main
from codexctl.command import EXIT_NO_DAEMON


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_what_is_asked_for_is_shown(argument, capsys):
    with pytest.raises(SystemExit) as caught:
        main([argument])
    assert caught.value.code == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["nope"], ["status", "-x"]])
def test_wrong_usage_is_exit_2(arguments, capsys):
    assert main(arguments) == 2
    assert "usage: codexctl" in capsys.readouterr().err


def test_no_daemon_is_exit_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CODEXD_SOCKET", str(tmp_path / "control.sock"))
    assert main(["status"]) == 3
    assert "codexd is not running" in capsys.readouterr().err


def run_with_output(redirection, *arguments):
    command = f"{shlex.quote(sys.executable)} -m codexctl {shlex.join(arguments)} {redirection}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        pytest.param(">/dev/full", "codexctl: the output can't be written: No space left on device.\n", id="full"),
        pytest.param(">&-", "codexctl: standard output is closed. Send it to /dev/null", id="closed"),
    ],
)
@pytest.mark.parametrize("arguments", [["completion", "bash"], ["--json", "nope"]])
def test_output_that_cant_be_written_is_one_line_and_exit_1(redirection, said, arguments):
    done = run_with_output(redirection, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_without_any_output_there_is_still_an_exit_status():
    assert run_with_output(">&- 2>&-", "completion", "bash").returncode == 1


@pytest.mark.parametrize(("arguments", "status"), [(["nope"], 2), (["accounts", "switch"], 2), ([], 2)])
def test_without_messages_there_is_still_an_exit_status(arguments, status):
    assert run_with_output("</dev/null 2>&-", *arguments).returncode == status


def test_a_command_without_a_daemon_needs_no_home_folder(monkeypatch, capsys):
    monkeypatch.delenv("CODEXD_SOCKET", raising=False)
    monkeypatch.setenv("CODEXD_HOME", "~nobody-of-this-name/x")
    assert main(["completion", "bash"]) == 0
    assert main(["status"]) == EXIT_NO_DAEMON
    assert "your home folder is unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["top"], 2),
        (["shell"], 0),
        (["claude", "direct", "--key"], 1),
        (["settings", "set", "log.level", "-"], 2),
        (["test", "-"], 2),
        (["accounts", "clear"], 2),
    ],
)
def test_a_closed_standard_input_is_an_empty_one(arguments, status):
    done = run_with_output("<&-", *arguments)
    assert done.returncode in (status, EXIT_NO_DAEMON)
    assert "Traceback" not in done.stderr


def test_a_terminal_without_a_character_gets_a_question_mark(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["completion", "bash"]) == 0
    print("\u2587")
    sys.stdout.flush()
    assert written.getvalue().endswith(b"?\n")
