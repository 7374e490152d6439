from codexctl.render import logs as render
from codexctl.render.base import Style, clock_time

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)


def entry(message="hello", **changes):
    return {
        "id": 1,
        "at": NOW,
        "level": "info",
        "logger": "codexd.web",
        "message": message,
        "request": None,
        "fields": {},
    } | changes


def test_a_finished_request_reads_as_a_sentence():
    fields = {
        "client": "claude-code",
        "account": "work@example.com",
        "model": "claude-opus-5-5",
        "model_used": "gpt-5.5",
        "status": 200,
        "ttft_ms": 812,
        "duration_ms": 2345,
        "input_tokens": 1234,
        "cached_tokens": 1100,
        "output_tokens": 56,
    }
    (line,) = render.log_entry(entry("POST /v1/messages", request="req_ab12", fields=fields), PIPE)
    assert line[8:] == (
        " INFO    req_ab12 POST /v1/messages 200 claude-opus-5-5 -> gpt-5.5 work@example.com ttft 812 ms "
        "1,234 in (1,100 cached) 56 out 2.3 s client=claude-code"
    )


def test_a_request_that_came_to_nothing():
    fields = {"status": 499, "duration_ms": 10, "error": "the client left"}
    (line,) = render.log_entry(entry("POST /v1/messages", level="warning", fields=fields), PIPE)
    assert line[8:] == ' WARNING POST /v1/messages 499 10 ms error="the client left"'


def test_other_entries_are_key_value_with_their_traceback_below():
    fields = {"account": "a@b.c", "note": "two words", "n": 1, "none": None, "traceback": "Traceback:\n  boom\n"}
    lines = render.log_entry(entry(fields=fields), PIPE)
    assert lines[0][8:] == ' INFO    hello account=a@b.c note="two words" n=1'
    assert lines[1:] == ["    Traceback:", "      boom"]


def test_an_entry_of_another_day_has_its_date():
    assert render.log_entry(entry(), Style(now=NOW + 3 * 86400))[0].startswith("2027-01-1")


def test_no_control_sequence_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07\u202e\u2066"
    fields = {"model": nasty, nasty: nasty, "traceback": nasty}
    request = {"status": 200, "duration_ms": 1, "model": nasty, "account": nasty, "path": nasty}
    lines = [
        *render.log_entry(entry(nasty, fields=fields), PIPE),
        *render.log_entry(entry(nasty, fields=request), PIPE),
    ]
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07\u202e\u2066")


def test_a_long_log_entry_breaks_between_its_words():
    lines = render.log_entry(entry("word " * 40), Style(NOW, 80))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("        word")
    assert "".join(lines).count("word") == 40
    assert len(render.log_entry(entry("word " * 40), PIPE)) == 1


def test_a_moment_is_told_by_the_clock():
    (line,) = render.log_entry(entry(fields={"resets_at": NOW + 60.0, "n_at": "x"}), PIPE)
    assert line.endswith(f"hello resets_at={clock_time(NOW + 60, NOW)} n_at=x")


def test_a_long_line_of_a_traceback_stays_below_it():
    fields = {"traceback": f'Traceback:\n  File "{"x" * 60}", line 28, in a_function\n'}
    lines = render.log_entry(entry(fields=fields), Style(NOW, 80))
    assert lines[1:] == ["    Traceback:", f'      File "{"x" * 60}", line', "        28, in a_function"]
