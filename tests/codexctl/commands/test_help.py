import json

import pytest


def test_help_shows_examples_environment_and_exit_statuses(piped):
    out, err = piped("help").communicate(timeout=20)
    assert err == ""
    for text in ("usage: codexctl", "status", "CODEXD_SOCKET", "130", "examples:"):
        assert text in out


@pytest.mark.parametrize("words", [("accounts", "switch"), ("accounts",), ("help",), ("logs",)])
def test_help_for_a_command_is_its_own(piped, words):
    out, _ = piped("help", *words).communicate(timeout=20)
    assert out == piped(*words, "--help").communicate(timeout=20)[0]
    assert f"usage: codexctl {' '.join(words)}" in out


def test_help_for_a_typo_says_what_was_meant(piped):
    process = piped("help", "accounts", "swich")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert 'Did you mean "codexctl accounts switch"?' in err


def test_help_completes_commands_only(piped):
    assert piped("__complete", "--", "help", "accounts", "sw").communicate(timeout=20)[0].startswith("switch\t")
    assert piped("__complete", "--", "help", "accounts", "switch", "").communicate(timeout=20)[0] == ""


def test_without_a_command_there_is_an_error_as_json(piped):
    process = piped("--json")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err, json.loads(out)["error"]["kind"]) == (2, "", "usage")
