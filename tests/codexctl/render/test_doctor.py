import pytest

from codexctl.render import doctor
from codexctl.render.text import Style

LONG = "Something is wrong with this, and it takes more than one line to say what that is and why it matters."


def finding(level, text="It is so.", remedy=None):
    return {"kind": "k", "level": level, "about": "x", "text": text, "remedy": remedy}


def render(*findings, colour=False, network=True, bundle=None, width=None):
    sections = [{"topic": "t", "title": "Title", "findings": list(findings)}, {"title": "Empty", "findings": []}]
    result = {"sections": sections, "network": network, "bundle": bundle}
    return doctor.report(result, Style(now=0.0, width=width, colour=colour))


def test_findings_with_what_mends_them():
    assert render(finding("ok"), finding("warning", LONG, "codexctl restart"), finding("problem")) == [
        "Title",
        "  ok       It is so.",
        "  warning  Something is wrong with this, and it takes more than one line to say",
        "           what that is and why it matters.",
        "           $ codexctl restart",
        "  problem  It is so.",
        "",
        "1 problem and 1 warning found.",
    ]


@pytest.mark.parametrize(
    ("levels", "summary"),
    [
        (["ok", "note"], "Nothing is wrong."),
        (["warning", "warning"], "2 warnings found."),
        (["problem"], "1 problem found."),
    ],
)
def test_the_summary(levels, summary):
    assert render(*map(finding, levels))[-1] == summary


def test_what_was_not_done_and_what_was_written():
    text = " ".join(render(finding("ok"), network=False, bundle="/tmp/b.txt"))
    assert "--network" in text
    assert "Everything is in /tmp/b.txt, without secrets." in text


def test_colour_and_a_narrow_terminal():
    lines = render(finding("problem", LONG, "a command that is longer than the terminal"), colour=True, width=40)
    assert lines[1].startswith("  \x1b[31mproblem \x1b[0m Something")
    assert all(len(line) < 55 for line in lines[:4])
    assert any(line.endswith("a command that is longer than the terminal") for line in lines)


def test_a_text_can_not_steer_the_terminal():
    assert "\x1b" not in "".join(render(finding("ok", "\x1b]0;x\x07"), finding("ok", "x", "\x1b[2J")))
