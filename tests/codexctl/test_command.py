import argparse
import json
import time

import pytest

from codexctl.command import Invocation, limit_argument, parse_since


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("1w", 604_800)]
)
def test_durations_lie_back_from_now(text, seconds):
    assert time.time() - parse_since(text) == pytest.approx(seconds, abs=5)


def test_the_beginning_of_time_is_the_earliest():
    assert parse_since("9999w") == 0.0


@pytest.mark.parametrize("text", ["", "5x", "10", "m", "1.5h", "-5m", "10m ago"])
def test_what_is_not_a_duration(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a duration\. Write it like 30s, 10m or 2h"):
        parse_since(text)


@pytest.mark.parametrize("text", ["", "5x", "-1", "1.5", "²"])
def test_what_is_not_a_count(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number"):
        limit_argument(100, 10).options["type"](text)
    assert limit_argument(100, 10).options["type"]("5") == 5


@pytest.mark.parametrize("as_json", [True, False])
def test_a_result_is_shown_as_json_or_as_text(as_json, tmp_path, capsys):
    invocation = Invocation(tmp_path / "none.sock", argparse.Namespace(json=as_json), {})
    invocation.show({"b": [1], "a": "é"}, lambda result, style: [f"{result['a']} {style.width}", "end"])
    out = capsys.readouterr().out
    assert json.loads(out) == {"b": [1], "a": "é"} if as_json else out == "é None\nend\n"
