import pytest

from codexctl.commands import COMMANDS
from codexctl.completion.candidates import complete
from codexctl.invocation import Values

KNOWN = {
    Values.ACCOUNTS: ["work@example.com", "home@example.com"],
    Values.SETTINGS: ["log.level", "server.port"],
    Values.REQUESTS: ["req_1", "req_2"],
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
    return [word for word, _ in complete(COMMANDS, [*filter(None, before), current], lookup)]


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
        ("settings get l", ["log.level"]),
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
    assert complete(COMMANDS, ["stat"], lookup) == [("status", "Show what the daemon is doing")]
    assert complete(COMMANDS, ["status", "--js"], lookup) == [("--json", "print JSON")]


def test_every_command_is_offered_where_its_words_end():
    for command in COMMANDS:
        assert command.words[-1] in words_for(" ".join([*command.words[:-1], ""])), command.words
