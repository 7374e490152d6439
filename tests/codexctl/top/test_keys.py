from support.top_world import NOW, account, done, failed, model, request, tell

from codexctl.top.keys import Ask, Quit, press
from codexctl.top.model import Cancelling, Filtering, Help, Shown, Switching, Table, Why


def test_the_choice_stays_on_its_request():
    made = model(request("req_a", started_at=NOW - 3), request("req_b", started_at=NOW - 5))
    assert made.chosen().id == "req_a"
    press(made, "down")
    tell(made, request("req_new", started_at=NOW))
    assert made.chosen().id == "req_b"
    press(made, "down")
    assert made.chosen().id == "req_b", "there is none below"
    press(made, "home")
    assert made.chosen().id == "req_new"
    press(made, "pagedown")
    assert made.chosen().id == "req_b"
    press(made, "up")
    assert made.chosen().id == "req_a"


def test_no_request_to_work_on():
    made = model()
    for key in ("up", "end", "enter", "c"):
        assert press(made, key) is None
        assert made.pane == Table()


def test_why_is_asked_of_the_chosen():
    made = model(failed("req_a"))
    assert press(made, "enter") == Ask("requests.explain", {"id": "req_a"})
    assert made.pane == Why("req_a")
    press(made, "pagedown")
    press(made, "up")
    assert made.pane == Why("req_a", top=9)
    press(made, "escape")
    assert made.pane == Table()


def test_cancelling_is_asked_first():
    made = model(request("req_a"))
    assert press(made, "c") is None
    tell(made, request("req_new", started_at=NOW + 1))
    assert made.pane == Cancelling("req_a"), "and means the one that was chosen then"
    assert press(made, "y") == Ask("requests.cancel", {"id": "req_a"})
    press(made, "c")
    assert press(made, "enter") is None
    assert (made.pane, made.notice) == (Table(), "The request was not cancelled.")


def test_what_has_ended_is_not_cancelled():
    made = model(done("req_a"))
    assert press(made, "c") is None
    assert (made.pane, made.notice) == (Table(), "req_a has already ended.")
    press(made, "down")
    assert made.notice == ""


def test_switching():
    made = model(accounts=[account("a@b.c"), account("work@example.com", active=True)])
    assert press(made, "s") == Ask("accounts.switch", {"account": "id-work@example.com", "dry_run": True})
    assert press(made, "up") == Ask("accounts.switch", {"account": "id-a@b.c", "dry_run": True})
    assert press(made, "up") is None
    assert press(made, "enter") == Ask("accounts.switch", {"account": "id-a@b.c"})
    assert made.pane == Table()
    press(made, "s")
    assert press(made, "escape") is None
    assert made.pane == Table()


def test_an_account_that_went_while_the_menu_was_open():
    made = model(accounts=[account("a@b.c", active=True), account("b@b.c")])
    made.pane = Switching("id-gone")
    assert press(made, "enter") is None
    assert press(made, "down") == Ask("accounts.switch", {"account": "id-b@b.c", "dry_run": True})


def test_switching_without_accounts():
    made = model()
    assert press(made, "s") is None
    assert "codexctl accounts add" in made.notice


def test_filtering():
    made = model(request("req_a"), done("req_b"))
    made.filter = "old"
    press(made, "/")
    for key in ("backspace", "c-u", "d", "o", "n", "q", "backspace"):
        assert press(made, key) is None
    assert (made.filter, made.chosen().id) == ("don", "req_b")
    press(made, "f1")
    assert made.filter == "don", "no key of a name is typed"
    press(made, "enter")
    assert (made.pane, made.filter) == (Table(), "don")
    press(made, "/")
    press(made, "x")
    assert made.pane == Filtering("don")
    press(made, "escape")
    assert (made.pane, made.filter) == (Table(), "don")
    press(made, "escape")
    assert made.filter == ""


def test_kinds_of_requests_go_round():
    made = model()
    seen = []
    for _ in range(3):
        press(made, "f")
        seen.append(made.shown)
    assert seen == [Shown.RUNNING, Shown.FAILED, Shown.ALL]


def test_help_and_the_end():
    made = model()
    press(made, "?")
    assert made.pane == Help()
    assert press(made, "q") is None
    assert made.pane == Table()
    assert press(made, "q") == Quit()
