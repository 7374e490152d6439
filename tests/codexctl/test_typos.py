import pytest

from codexctl.commands import load_commands
from codexctl.typos import MEANT, explain


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stauts", '"stauts" is not a command. Did you mean "codexctl status"?'),
        ("STATUS", '"STATUS" is not a command. Did you mean "codexctl status"?'),
        ("--json stauts", '"stauts" is not a command. Did you mean "codexctl status"?'),
        ("--socket /x stauts", '"stauts" is not a command. Did you mean "codexctl status"?'),
        ("login", '"login" is not a command. Did you mean "codexctl accounts add"?'),
        ("use work@example.com", '"use" is not a command. Did you mean "codexctl accounts switch"?'),
        ("select", '"select" is not a command. Did you mean "codexctl accounts switch"?'),
        ("list", '"list" is not a command. Did you mean "codexctl accounts list"?'),
        ("config", '"config" is not a command. Did you mean "codexctl settings"?'),
        ("verfy", '"verfy" is not a command. Did you mean "codexctl accounts verify"?'),
        ("cancel x", '"cancel" is not a command. Did you mean "codexctl requests cancel"?'),
        ("respawn", '"respawn" is not a command. Did you mean "codexctl restart"?'),
        ("diagnose", '"diagnose" is not a command. Did you mean "codexctl doctor"?'),
        ("start", '"start" is not a command. The daemon is a program of its own; start it with: codexd'),
        ("xyzzy", '"xyzzy" is not a command. `codexctl help` lists the commands.'),
        (
            "accounts swich x",
            '"swich" is not a command of codexctl accounts. Did you mean "codexctl accounts switch"?',
        ),
        ("accounts use x", '"use" is not a command of codexctl accounts. Did you mean "codexctl accounts switch"?'),
        (
            "settings xyzzy",
            '"xyzzy" is not a command of codexctl settings. `codexctl help settings` lists the commands.',
        ),
        ("quota --refesh", '"--refesh" is not an option of codexctl quota. Did you mean --refresh?'),
        ("quota --xyzzy", '"--xyzzy" is not an option of codexctl quota. `codexctl help quota` lists the options.'),
        ("--jsn status", '"--jsn" is not an option. Did you mean --json?'),
        ("logs --folow", '"--folow" is not an option of codexctl logs. Did you mean --follow?'),
    ],
)
def test_what_was_meant(line, said):
    assert explain(load_commands(), line.split()) == said


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "status x",
        "logs -n5 --level=loud",
        "requests -n 5",
        "accounts switch",
        "quota a@b --all",
        "claude run --anything goes",
        "test -",
        "test -- --x",
    ],
)
def test_other_mistakes_are_not_typos(line):
    assert explain(load_commands(), line.split()) is None


def test_other_names_lead_to_commands_and_are_none():
    names = {" ".join(command.words) for command in load_commands()}
    assert set(MEANT) <= names
    assert not names & {other for others in MEANT.values() for other in others}
