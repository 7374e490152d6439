import pytest

from codexctl.render import requests as render_requests
from codexctl.render.text import Style

NOW = 1_800_000_000.0
PIPE = Style(NOW)
NARROW = Style(NOW, 80)
COLOUR = Style(NOW, 80, colour=True)
NASTY = "a\x1b[2J\n\x9b\x07"

REQUEST = {
    "id": "req_ab12cd34ef56ab78",
    "client": "claude-cli/2.1.330",
    "model": "claude-opus-5-5",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "state": "done",
    "started_at": NOW - 10,
    "ttft_ms": 812,
    "duration_ms": 2345,
    "tokens": {"input": 1234, "cached": 1100, "output": 56, "reasoning": 0, "estimated": False},
    "status": 200,
    "error": None,
    "losses": [
        {"kind": "cosmetic", "path": "metadata", "note": "no answer is different"},
        {"kind": "dropped", "path": "top_k", "note": "the backend samples as it likes"},
    ],
    "retries": 0,
    "purpose": "turn",
    "silent_since": None,
}
RUNNING = REQUEST | {
    "state": "running",
    "status": None,
    "ttft_ms": None,
    "duration_ms": None,
    "tokens": {"input": 0, "cached": 0, "output": 340, "reasoning": 0, "estimated": True},
    "losses": [],
}
FAILED = REQUEST | {
    "state": "failed",
    "status": 429,
    "model_used": None,
    "tokens": None,
    "ttft_ms": None,
    "error": "The plan's 5 h limit is reached.",
    "losses": [],
    "retries": 2,
}


def listed(*requests):
    return {"requests": list(requests)}


CHECK = REQUEST | {"purpose": "auto mode check"}


def test_requests_in_a_pipe_are_lines_with_everything_between_tabs():
    heading, row = (line.split("\t") for line in render_requests.requests(listed(CHECK), PIPE))
    assert heading[1:] == ["REQUEST", "STATE", "CLIENT", "ACCOUNT", "MODEL", "TOOK", "TTFT", "IN", "OUT", "REMARKS"]
    assert row[1:6] == [
        REQUEST["id"],
        "done 200",
        "claude-cli/2.1.330 (auto mode check)",
        "work@example.com",
        "claude-opus-5-5 -> gpt-5.5",
    ]
    assert row[6:] == ["2.3 s", "812 ms", "1,234", "56", "dropped top_k: the backend samples as it likes"]


def test_requests_on_a_wide_terminal_have_a_line_each():
    lines = render_requests.requests(listed(REQUEST, FAILED, RUNNING), Style(NOW, 200))
    assert lines[0].split() == list(render_requests.WIDE_HEADINGS)
    assert ["req_" in line for line in lines[:4]] == [False, True, True, True]


@pytest.mark.parametrize("request_", [REQUEST, CHECK, FAILED, RUNNING])
def test_requests_on_a_narrow_terminal_keep_the_id_the_state_and_the_numbers(request_):
    row = render_requests.requests(listed(request_), Style(NOW, 60))[1]
    assert len(row) <= 60
    assert "  ab12cd34  " in row
    assert f"  {render_requests.state_of(request_)}  " in row
    assert render_requests.milliseconds(render_requests.took_ms(request_, NOW)) in row


def test_requests_are_a_table_with_what_was_lost_below():
    lines = render_requests.requests(listed(REQUEST), NARROW)
    assert lines[0].split() == ["TIME", "REQUEST", "STATE", "MODEL", "TOOK", "TOKENS"]
    assert lines[1].split()[1:] == [REQUEST["id"], "done", "200", "claude-opus-5-5", "2.3", "s", "1,234", "in"]
    assert lines[2].split() == ["claude-cli/2.1.330", "->", "gpt-5.5", "ttft", "812", "ms", "56", "out"]
    assert lines[3:] == ["", REQUEST["id"], "  dropped top_k: the backend samples as it likes"]


def test_a_running_request_has_no_status_yet_and_its_tokens_are_a_guess():
    row = render_requests.requests(listed(RUNNING), NARROW)[1]
    assert "running  " in row
    assert "10.0 s" in row
    assert row.endswith("about 340 out")


def test_accounts_are_told_apart_only_where_there_are_several():
    other = REQUEST | {"account": "home@example.com"}
    assert "work@example.com" not in "".join(render_requests.requests(listed(REQUEST, REQUEST), NARROW))
    both = "".join(render_requests.requests(listed(REQUEST, other), NARROW))
    assert "work@example.com" in both
    assert "home@example.com" in both


def test_no_requests_yet():
    assert render_requests.requests(listed(), PIPE) == ["No requests since codexd started."]
    assert render_requests.requests(listed(), PIPE, state="failed") == ["No failed requests since codexd started."]


def test_followed_requests_are_lines():
    (line,) = render_requests.started(RUNNING, PIPE)
    assert line.endswith("started      req_ab12cd34ef56ab78  claude-opus-5-5 -> gpt-5.5  from claude-cli/2.1.330")
    line, loss = render_requests.ended(REQUEST, PIPE)
    assert line.endswith(
        "done 200     req_ab12cd34ef56ab78  claude-opus-5-5 -> gpt-5.5  2.3 s, ttft 812 ms, 1,234 in (1,100 cached), 56 out"
    )
    assert loss == "    dropped top_k: the backend samples as it likes"


def test_a_cancelled_request_has_no_status():
    request = FAILED | {"state": "cancelled", "status": 200, "error": "This request was cancelled."}
    assert "  cancelled  " in render_requests.requests(listed(request), NARROW)[1]
    assert "cancelled    req_ab12cd34ef56ab78" in render_requests.ended(request, PIPE)[0]
    explained = render_requests.explanation(EXPLAINED | {"request": request}, COLOUR)
    assert "\x1b[33mcancelled\x1b[0m" in explained[0]


def test_what_was_cancelled():
    assert " ".join(render_requests.cancelled(RUNNING, PIPE)) == (
        "Cancelled req_ab12cd34ef56ab78: claude-opus-5-5 -> gpt-5.5 from claude-cli/2.1.330, after 10 s, "
        "about 340 tokens."
    )
    assert render_requests.cancelled(RUNNING | {"tokens": None}, PIPE)[-1].endswith("after 10 s.")


def test_what_was_lost_alike_of_many_items_is_one_remark():
    def lose(path, note="left out"):
        return {"kind": "approximated", "path": path, "note": note}

    losses = [lose("input[7]"), lose("input[8].id"), lose("input[12]"), lose("input[13]", "other"), lose("input[1300]")]
    remarks = list(render_requests.remarks_on(REQUEST | {"losses": losses}))
    assert remarks == [
        "approximated input[7], input[12] and 1 more: left out",
        "approximated input[8].id: left out",
        "approximated input[13]: other",
    ]
    remarks = list(render_requests.remarks_on(REQUEST | {"losses": [lose("tools[0]"), lose("tools[1]")]}))
    assert remarks == ["approximated tools[0] and tools[1]: left out"]


def test_a_failure_says_why_and_how_often_it_was_tried():
    line, why = render_requests.ended(FAILED, PIPE)
    assert "failed 429   req_ab12cd34ef56ab78  claude-opus-5-5  2.3 s, retried 2 times" in line
    assert why == "    The plan's 5 h limit is reached."


def test_what_runs_in_short():
    text = render_requests.running([RUNNING, RUNNING], NOW)
    assert text == "running: claude-opus-5-5 -> gpt-5.5, 10 s, about 340 tokens, and 1 more"


EXPLAINED = {
    "request": FAILED,
    "timeline": [
        {"at_ms": 0, "what": "claude-cli/2.1.330 sent POST /v1/messages for the model claude-opus-5-5."},
        {"at_ms": 41, "what": "The backend answered HTTP 429 after 39 ms. " * 3},
        {"at_ms": 62345, "what": "The request failed."},
    ],
    "summary": "It failed after 2.3 s.",
    "advice": ["Another account can go on now: `codexctl accounts switch NAME`. " * 2],
}


def test_an_explanation_reads_from_the_top():
    lines = render_requests.explanation(EXPLAINED, NARROW)
    assert lines[0].startswith("req_ab12cd34ef56ab78  failed 429  ")
    assert lines[1:4] == [
        "It failed after 2.3 s.",
        "",
        "    +0 ms  claude-cli/2.1.330 sent POST /v1/messages for the model",
    ]
    assert "   +41 ms  The backend answered HTTP 429 after 39 ms. The backend answered HTTP" in lines
    assert "           429 after 39 ms. The backend answered HTTP 429 after 39 ms." in lines
    assert "  +62.3 s  The request failed." in lines
    assert "What to do" in lines
    assert next(line for line in lines if "Another" in line).startswith("  -  Another account")
    assert max(map(len, lines)) <= 80


def row(name, **changes):
    figures = {
        "requests": 12,
        "failed": 1,
        "input_tokens": 200_000,
        "cached_tokens": 150_000,
        "output_tokens": 3_456,
        "reasoning_tokens": 0,
        "losses": 2,
        "ttft_ms": 1812,
    }
    return {"name": name} | figures | changes


def report(**changes):
    rows = [row("gpt-5.5"), row("gpt-5.4-mini", input_tokens=0, cached_tokens=0, ttft_ms=None)]
    total = row("total", requests=1_024, input_tokens=1_234_567_890, cached_tokens=0)
    return {"by": "model", "since": NOW - 60, "rows": rows, "total": total, "problem": None} | changes


def test_usage_is_a_table_whose_figures_stand_to_the_right():
    lines = render_requests.usage(report(), NARROW)
    assert lines[0] == "MODEL         REQUESTS  FAILED       INPUT  CACHED  OUTPUT  LOSSES   TTFT"
    assert lines[1] == "gpt-5.5             12       1     200,000     75%   3,456       2  1.8 s"
    assert lines[2] == "gpt-5.4-mini        12       1           0           3,456       2"
    assert lines[3] == "total            1,024       1  1,234.57 M      0%   3,456       2  1.8 s"
    assert lines[4].startswith("since ")


@pytest.mark.parametrize(("width", "gone"), [(80, []), (70, ["TTFT"]), (60, ["TTFT", "LOSSES"])])
def test_usage_on_a_narrow_terminal_drops_columns_but_cuts_no_figure(width, gone):
    lines = render_requests.usage(report(rows=[row("a" * 40)]), Style(NOW, width))
    assert max(map(len, lines)) <= width
    assert set(gone) == {"TTFT", "LOSSES"} - set(lines[0].split())
    assert "1,234.57 M" in lines[2]
    assert "…" not in lines[1].split(maxsplit=1)[1]


def test_usage_of_nothing_and_of_figures_that_may_be_incomplete():
    assert render_requests.usage(report(rows=[]), PIPE) == ["There were no requests in that time."]
    assert render_requests.usage(report(problem="the disk is full"), PIPE)[-1] == "Problem: the disk is full"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_fits_a_terminal_is_not_wrapped(width):
    style = Style(NOW, width)
    long = {"client": "x" * 40, "model": "m" * 40, "account": "a" * 40, "error": "word " * 60}
    lines = [
        *render_requests.requests(listed(REQUEST | long, FAILED | long, RUNNING), style),
        *render_requests.started(RUNNING | long, style),
        *render_requests.ended(FAILED | long, style),
        *render_requests.explanation(EXPLAINED, style),
    ]
    assert max(map(len, lines)) <= width
    wide = report(rows=[row("a" * 90)])
    assert max(map(len, render_requests.usage(wide, Style(NOW, max(width, 80))))) <= max(width, 80)


def test_no_control_sequence_reaches_the_terminal():
    nasty = {"client": NASTY, "model": NASTY, "model_used": NASTY * 2, "account": NASTY, "error": NASTY}
    losses = [{"kind": "dropped", "path": NASTY, "note": NASTY}]
    request = REQUEST | nasty | {"losses": losses}
    result = {"request": request, "timeline": [{"at_ms": 1, "what": NASTY}], "summary": NASTY, "advice": [NASTY]}
    lines = [
        *render_requests.requests(listed(request, FAILED), PIPE),
        *render_requests.started(request, PIPE),
        *render_requests.ended(request, PIPE),
        render_requests.running([request], NOW),
        *render_requests.explanation(result, PIPE),
        *render_requests.usage(report(rows=[row(NASTY)], problem=NASTY), PIPE),
    ]
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07")


def test_colour_changes_nothing_but_colour():
    import re

    for show, result in (
        (render_requests.requests, listed(REQUEST, FAILED)),
        (render_requests.ended, FAILED),
        (render_requests.explanation, EXPLAINED),
        (render_requests.usage, report()),
    ):
        coloured = show(result, COLOUR)
        assert "\x1b[" in "".join(coloured)
        assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == show(result, NARROW)
