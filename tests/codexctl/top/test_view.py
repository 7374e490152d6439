import pytest
from support.top_world import (
    NOW,
    account,
    busy,
    done,
    entry,
    failed,
    model,
    request,
    status,
    styles_of,
    task,
    text_of,
)

from codexctl.render.format import clock_time
from codexctl.render.text import cell_width
from codexctl.top.keys import press
from codexctl.top.layout import Size
from codexctl.top.model import Help, Model, Switching, Why
from codexctl.top.view import screen, settle

CLOCK = clock_time(NOW, NOW)


def test_at_80_columns():
    assert text_of(busy()) == [
        "codexd 0.1.0  127.0.0.1:8081  up 2h10m                       1 running  20 tok/s",
        "  ACCOUNT            STATE         QUOTA, RESET",
        "* work@example.com   ok            5h ██░░░  34% 2h10m  weekly ████░  85% 2d7h",
        "  home@example.com   limited 2h10m not known yet",
        "  REQUEST  STATE       MODEL            ACCOUNT               TIME     OUT TOK/S",
        "> 4f1c2a99 streaming   gpt-5.5          work@example.com       20s     370    20",
        "  bbbbbbbb failed 529  gpt-5.5          work@example.com      4.0s",
        "  cccccccc done 200    gpt-5.4-mini     work@example.com      4.0s     200    50",
        *[""] * 10,
        f"  req_4f1c2a9900aa  {clock_time(NOW - 20, NOW)}  claude-cli/2.1.3  claude-opus-5 -> gpt-5.5",
        "  work@example.com: active account",
        "TASKS  2 running  HTTP proxy, control socket",
        "LAST ERRORS",
        f"  {CLOCK}  bbbbbbbb  overloaded",
        "enter why  s switch  c cancel  / filter  f running, failed  ? help  q quit",
    ]


@pytest.mark.parametrize(
    "size", [(80, 24), (200, 50), (40, 10), (53, 11), (100, 30), (130, 24), (39, 10), (80, 9), (5, 2)]
)
def test_every_size_is_filled_and_kept(size):
    columns, rows = size
    accounts = [account(f"{number}@example.com", active=number == 9) for number in range(12)]
    made = model(*(done(f"req_{number:08}") for number in range(40)), accounts=accounts)
    for number in range(20):
        made.take_log_event({"entry": entry(f"problem {number}")})
    for change in (
        {},
        {"pane": Help()},
        {"pane": Switching("id-9@example.com")},
        {"pane": Why("req_1")},
        {"gone": "Away."},
    ):
        for name, value in change.items():
            setattr(made, name, value)
        lines = screen(made, Size(columns, rows), NOW)
        assert len(lines) == rows
        assert {sum(cell_width(text) for _, text in line) for line in lines} == {columns}


def test_states_have_colours():
    made = busy()
    press(made, "end")
    assert styles_of(made, "streaming") == {"green"}
    assert styles_of(made, "failed 529") == {"red"}
    assert styles_of(made, "done 200") == {"reverse"}, "the chosen"
    assert styles_of(made, "34%") == {"green"}
    assert styles_of(made, "85%") == {"yellow"}
    assert styles_of(made, "limited") == {"yellow"}
    assert styles_of(made, "enter") == {"bold"}


def test_tasks_that_do_badly_are_named_with_their_error():
    bad = task("usage history", state="restarting", restarts=3, last_error="disk full")
    once = task("rate-limit tracker", restarts=1, last_error="ValueError")
    lines = text_of(model(tasks=[task("HTTP proxy"), once, bad]))
    start = lines.index("TASKS  1 running  HTTP proxy")
    assert lines[start + 1] == "  usage history  restarting  restarted 3 times  disk full"
    assert lines[start + 2] == "  rate-limit tracker  running  restarted once  ValueError"


def test_problems_stand_with_the_errors():
    lines = text_of(model(problems=["settings.toml can't be read."]))
    assert "  Problem: settings.toml can't be read." in lines


def test_an_error_names_the_account_by_its_email():
    made = model(accounts=[account()])
    made.take_log_event({"entry": entry("the 5h window is 83 % used", fields={"account": "id-work@example.com"})})
    assert f"  {CLOCK}  the 5h window is 83 % used  (work@example.com)" in text_of(made)


def test_nothing_yet():
    lines = text_of(model())
    assert "ACCOUNTS  No account is signed in. Sign in with: codexctl accounts add" in lines
    assert "  No requests since codexd started." in lines
    assert "LAST ERRORS  none in the last hour" in lines
    assert text_of(Model())[0] == "codexd"


def test_a_daemon_that_is_away():
    made = busy()
    made.lose("codexd closed the connection.", NOW)
    lines = text_of(made, now=NOW + 30)
    assert lines[0] == "codexd has been away for 30 s. Waiting for it to come back."
    assert lines[1] == "  codexd closed the connection."
    assert any("streaming" in line and " 20s " in line for line in lines), "time stood still when it went"
    assert styles_of(made, "streaming") == {"dim"}


def test_a_simulated_daemon_says_so():
    made = model(request("req_a", account="work@example.com (simulated)"), simulated=True)
    lines = text_of(made)
    assert lines[0].startswith("codexd 0.1.0  SIMULATED  ")
    assert any("work@example.com      " in line and "(simulated)" not in line for line in lines)


EXPLANATION = {
    "request": failed("req_bbbbbbbb1111"),
    "timeline": [{"at_ms": number, "what": f"Step {number} of it."} for number in range(40)],
    "summary": "It failed after 4.0 s.",
    "advice": ["Try again later."],
}


def test_why_is_shown_and_scrolls_to_its_end():
    made = busy()
    made.pane = Why("req_bbbbbbbb1111", EXPLANATION)
    assert any("It failed after 4.0 s." in line for line in text_of(made))
    assert any("more lines below" in line for line in text_of(made))
    press(made, "end")
    settle(made, Size(80, 24), NOW)
    lines = text_of(made)
    assert "Try again later." in lines[-2]
    press(made, "up")
    assert "Try again later." not in text_of(made)[-2], "the way back begins at the end"


def test_why_while_it_is_asked_and_refused():
    made = busy()
    made.pane = Why("req_a")
    assert "  Asking codexd ..." in text_of(made)
    made.pane = Why("req_a", problem="There is no request 'req_a'.")
    assert "  There is no request 'req_a'." in text_of(made)


def test_the_menu_says_what_a_switch_means():
    made = busy()
    made.pane = Switching("id-home@example.com", {"sessions": 2, "reasoning_items": 1, "tokens": 12345})
    text = " ".join(line.strip() for line in text_of(made))
    assert "moves 2 sessions from the last hour: 12,345 tokens are read again" in text
    assert "1 piece of reasoning dropped" in text
    made.pane = Switching("id-home@example.com", {"sessions": 0, "reasoning_items": 0, "tokens": 0})
    assert "costs nothing" in " ".join(text_of(made))
    made.pane = Switching("id-work@example.com")
    assert "work@example.com is the active account." in " ".join(text_of(made))
    assert "reverse" in styles_of(made, "work@example.com")


def test_what_a_client_sends_can_not_move_the_cursor():
    made = model(failed("req_a", error="\x1b[2Jgone", client="x\x1b]0;title\x07"))
    made.take_log_event({"entry": entry("\x1b[2Jgone\nand more")})
    for pane in (made.pane, Why("req_a", problem="\x1b[2J")):
        made.pane = pane
        assert not any("\x1b" in line or "\n" in line for line in text_of(made, 200, 50))


def test_the_status_may_not_listen():
    assert "not listening" in text_of(Model(status=status(addresses=[])))[0]


# -- what a small screen has no room for


def test_running_requests_without_room_are_counted():
    made = model(*(request(f"req_{number:08}") for number in range(20)), accounts=[account(active=True)])
    lines = text_of(made)
    shown = sum("waiting" in line or "streaming" in line for line in lines)
    assert 0 < shown < 20
    assert f"  +{20 - shown} more running" in lines
    press(made, "end")
    lines = text_of(made)
    assert any("more running" in line for line in lines), "those above are counted too"
    assert not any("more running" in line for line in text_of(made, rows=60))


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_how_many_run_is_always_in_the_first_line(columns):
    made = model(request(), addresses=["http://127.0.0.1:8081", "http://[::1]:8081"], simulated=True)
    assert "  1 running" in text_of(made, columns)[0]


def test_a_check_of_auto_mode_is_called_that():
    lines = text_of(model(request("req_a", purpose="auto mode check")), 120)
    assert sum("auto mode check" in line for line in lines) == 2, "in its row and in the details"


def test_accounts_that_differ_at_their_ends_are_shown_by_their_ends():
    emails = ["somebody@example.com/3f9c2a1b", "somebody@example.com/b0b5e2d4", "home@example.com"]
    lines = text_of(model(accounts=[account(email) for email in emails]))
    assert [line.split()[0] for line in lines[2:5]] == [
        "…mple.com/3f9c2a1b",
        "…mple.com/b0b5e2d4",
        "home@example.com",
    ]


def test_a_long_error_is_shown_whole():
    made = model()
    why = "the backend broke in the middle of a sentence that is too long for one line of this screen"
    made.take_log_event({"entry": entry("POST /v1/messages", request="req_bbbbbbbb1111", fields={"error": why})})
    lines = text_of(made)
    place = lines.index("LAST ERRORS")
    assert " ".join(" ".join(lines[place + 1 : place + 3]).split()).endswith(why)


def test_of_an_error_without_room_the_beginning_is_shown_and_of_an_older_one_nothing():
    made = model()
    for number, words in enumerate(
        ("an old thing that goes on and on " * 5, "the new thing " + "goes on and on " * 30)
    ):
        made.take_log_event({"entry": entry(words, request=f"req_{number}aaaaaaaaaaa")})
        lines = text_of(made)
        below = lines[lines.index("LAST ERRORS") + 1 : -1]
        assert ("an old thing" in below[0]) is (number == 0)
    assert "the new thing" in below[0]
    assert below[-1].endswith("…")


# -- what is old


def test_old_errors_go():
    made = busy()
    assert any("overloaded" in line for line in text_of(made)[-3:])
    assert "LAST ERRORS  none in the last hour" in text_of(made, now=NOW + 3601)


def test_a_notice_goes_after_a_while():
    made = busy()
    made.lose("Away.", NOW)
    made.begin()
    for moment, is_shown in ((NOW, True), (NOW + 9, True), (NOW + 11, False), (NOW + 12, False)):
        settle(made, Size(80, 24), moment)
        assert (text_of(made, now=moment)[-1] == "codexd is back.") is is_shown


@pytest.mark.parametrize("columns", [40, 53, 60, 73, 80])
def test_how_to_leave_is_always_in_the_last_line(columns):
    last = text_of(busy(), columns=columns)[-1]
    assert last.rstrip().endswith("? help  q quit")
    assert last.startswith("enter why")


def test_no_key_is_explained_by_half(columns=60):
    made = model()
    made.pane = Help()
    text = " ".join(" ".join(text_of(made, columns=columns)).split())
    assert "why: what happened to the request and what to do about it" in text
    assert "…" not in text
