import pytest

from codexctl.render import accounts as render
from codexctl.render.text import Style

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)
TERMINAL = Style(now=NOW, width=80, colour=True)
WIDE = Style(now=NOW, width=80)
REF = {
    "id": "0123456789ab",
    "email": "work@example.com",
    "label": "work@example.com",
    "plan": "plus",
    "simulated": False,
}
OTHER = {
    "id": "ba9876543210",
    "email": "home@example.com",
    "label": "home@example.com",
    "plan": "pro",
    "simulated": True,
}
FREE = {"sessions": 0, "reasoning_items": 0, "tokens": 0}


def window(name, used_percent, resets_at, limit=None):
    return {
        "name": name,
        "used_percent": used_percent,
        "window_seconds": 18000,
        "resets_at": resets_at,
        "limit": limit,
    }


def account(**changes):
    made = {
        **REF,
        "active": True,
        "state": "ok",
        "reason": None,
        "expires_at": NOW + 1000,
        "added_at": NOW,
        "last_used": NOW - 200,
        "quota": [
            window("5h", 34.4, NOW + 7800),
            window("weekly", 100.0, None),
            window("gpt-6-spark 5h", 1.0, None, "gpt-6-spark"),
        ],
        "quota_stale": False,
        "limited_until": None,
        "followed": None,
        "workspace": "3f9c2a1b-77aa",
    } | changes
    return made if "label" in changes else made | {"label": made["email"] or made["id"]}


def listed(*accounts):
    return {"accounts": list(accounts), "active": accounts[0]["id"] if accounts else None}


def test_accounts_in_a_pipe_are_separated_by_tabs():
    assert render.accounts(listed(account(), account(email="b@c.d", active=False, simulated=True)), PIPE) == [
        "\tACCOUNT\tSTATE\tQUOTA\tRESETS",
        "*\twork@example.com plus, used 3 min ago\tok\t5h 34% weekly 100%\tin 2 h 10 min",
        "\tb@c.d plus, used 3 min ago\tok simulated\t5h 34% weekly 100%\tin 2 h 10 min",
    ]


def test_a_narrow_terminal_shows_the_numbers_without_bars():
    lines = render.accounts(listed(account(email="somebody.with.a.long.name@example.com")), Style(NOW, 60))
    assert lines[1].endswith("5h      34%  in 2 h 10 min")
    assert lines[2].endswith("weekly 100%")


def test_accounts_on_a_terminal():
    assert render.accounts(listed(account(), account(email="b@c.d", active=False, simulated=True)), WIDE) == [
        "   ACCOUNT                 STATE      QUOTA                 RESETS",
        "*  work@example.com        ok         5h     ███░░░░░  34%  in 2 h 10 min",
        "     plus, used 3 min ago             weekly ████████ 100%",
        "   b@c.d                   ok         5h     ███░░░░░  34%  in 2 h 10 min",
        "     plus, used 3 min ago  simulated  weekly ████████ 100%",
    ]


def test_without_an_active_account_it_says_how_to_choose_one():
    lines = render.accounts(listed(account(active=False)) | {"active": None}, PIPE)
    assert lines[-1] == "No account is active. Choose one with: codexctl accounts switch NAME"


def test_stale_figures_are_dim_and_named():
    result = listed(account(quota_stale=True, quota=[window("5h", 34.4, NOW - 7800)]))
    assert render.accounts(result, WIDE)[1:] == [
        "*  work@example.com        ok     5h ███░░░░░  34%  2 h ago",
        "     plus, used 3 min ago         stale",
    ]
    coloured = render.accounts(result, TERMINAL)
    assert "\x1b[2m5h ███░░░░░  34%\x1b[0m" in coloured[1]
    assert "\x1b[2mstale\x1b[0m" in coloured[2]


def test_a_limited_account_says_for_how_long():
    lines = render.accounts(listed(account(state="limited", limited_until=NOW + 6 * 86400 + 3600)), WIDE)
    assert "limited" in lines[1]
    assert "for 6 d 1 h" in lines[2]
    past = render.accounts(listed(account(limited_until=NOW - 1)), PIPE)
    assert " for " not in "".join(past)


def test_an_account_that_needs_the_user_says_why():
    broken = account(state="needs_login", reason="Its login has ended.", quota=[], last_used=None)
    lines = render.accounts(listed(broken), WIDE)
    assert "needs login" in lines[1]
    assert "not known yet" in lines[1]
    assert "plus, not used yet" in lines[2]
    assert lines[-1] == "work@example.com: Its login has ended."


def test_a_followed_account_names_its_file():
    lines = render.accounts(listed(account(followed="/home/me/.codex/auth.json")), PIPE)
    assert lines[-1] == "work@example.com follows /home/me/.codex/auth.json"


def test_accounts_are_shown_by_their_labels():
    result = listed(
        account(label="work@example.com/3f9c2a1b", reason="Broken."),
        account(label="work@example.com/b0b5e2d4"),
    )
    lines = render.accounts(result, Style(NOW, 100))
    assert lines[1].startswith("*  work@example.com/3f9c2a1b ")
    assert lines[3].startswith("*  work@example.com/b0b5e2d4 ")
    assert lines[-1] == "work@example.com/3f9c2a1b: Broken."
    assert REF["id"] not in "\n".join(lines)


@pytest.mark.parametrize("width", [50, 60, 70])
def test_accounts_of_one_email_look_different_however_narrow(width):
    labels = [f"ann.long.name@subdivision.example.com/{mark}" for mark in ("3f9c2a1b", "b0b5e2d4")]
    lines = render.accounts(listed(*(account(label=label) for label in labels)), Style(NOW, width))
    assert max(map(len, lines)) <= width
    assert "3f9c2a1b" in lines[1]
    assert "b0b5e2d4" in lines[3]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_ids_are_never_cut(width):
    text = "\n".join(render.accounts_with_ids(listed(account(), account(**OTHER)), Style(NOW, width)))
    assert "0123456789ab" in text
    assert "ba9876543210" in text
    assert text.count("3f9c2a1b-77aa") == 2


def test_ids_are_a_column_on_request():
    heading, first, second, *_ = render.accounts_with_ids(listed(account()), Style(NOW, 140))
    assert heading.endswith("ID, WORKSPACE")
    assert first.endswith(f"  {REF['id']}")
    assert second.endswith("  3f9c2a1b-77aa")


def test_no_account_says_how_to_get_one():
    text = "\n".join(render.accounts(listed(), PIPE))
    assert "codexctl accounts add" in text
    assert "codexctl accounts import" in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(width):
    style = Style(now=NOW, width=width)
    long = account(email="a-rather-long-name@a-rather-long-company.example.com", reason="word " * 60)
    assert max(len(line) for line in render.accounts(listed(long), style)) <= width


def test_at_80_columns_nothing_usual_is_cut():
    limited = account(state="limited", limited_until=NOW + 7800, email="24-char@mail.example.org")
    lines = render.accounts(listed(limited), Style(now=NOW, width=80))
    assert not any("…" in line for line in lines)


def test_a_long_name_is_cut_before_any_figure():
    long = account(state="needs_login", email="a-rather-long-name@a-rather-long-company.example.com")
    lines = render.accounts(listed(long), Style(now=NOW, width=70))
    assert "a-rather-long" in lines[1]
    assert " 34%  in 2 h 10 min" in lines[1]


def test_a_pipe_cuts_nothing():
    email = "x" * 100 + "@example.com"
    assert email in "\n".join(render.accounts(listed(account(email=email)), PIPE))


def test_colour_only_where_asked():
    assert "\x1b[32mok\x1b[0m" in "\n".join(render.accounts(listed(account()), TERMINAL))
    assert "\x1b" not in "\n".join(render.accounts(listed(account()), PIPE))


def test_no_control_sequence_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07"
    hostile = account(email=nasty, plan=nasty, reason=nasty, followed=nasty, workspace=nasty)
    ref = {**REF, "email": nasty, "plan": nasty}
    lines = [
        *render.accounts(listed({**hostile, "id": "1"}, {**hostile, "id": "2"}), PIPE),
        *render.signed_in({"account": ref, "added": True}, listed(account()), PIPE),
        *render.checked({"results": [{"account": ref, "ok": False, "message": nasty}]}, PIPE),
        *render.removed({"account": ref, "revoked": False, "note": nasty}, PIPE),
        *render.imported({"added": [ref], "updated": [], "kept": [], "problems": [nasty], "note": nasty}, PIPE),
        *render.access_token({"access_token": nasty}, PIPE),
    ]
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07")


def test_signing_in_as_the_active_account():
    assert render.signed_in({"account": REF, "added": True}, listed(account()), PIPE) == [
        "Signed in: work@example.com, plan plus.",
        "It is the active account.",
    ]


def test_signing_in_as_another_gives_the_command_that_switches():
    result = {"account": OTHER, "added": False}
    assert render.signed_in(result, listed(account(), account(**OTHER)), PIPE) == [
        "Signed in again: home@example.com (simulated), plan pro.",
        "work@example.com stays the active account. Switch to the new one with:",
        "  codexctl accounts switch home@example.com",
    ]
    nobody_active = {"accounts": [account(**OTHER, active=False)], "active": None}
    assert render.signed_in(result, nobody_active, PIPE)[1].startswith("No account is active.")


def test_the_label_is_the_name_to_switch_to():
    second = {**REF, "id": "2", "label": "work@example.com/b0b5e2d4"}
    lines = render.signed_in({"account": second, "added": True}, listed(account(), account(id="2")), PIPE)
    assert lines[-1] == "  codexctl accounts switch work@example.com/b0b5e2d4"


def test_import():
    result = {"added": [OTHER], "updated": [REF], "kept": [REF], "problems": ["One is broken."], "note": "Read this."}
    assert render.imported(result, PIPE) == [
        "Added home@example.com (simulated).",
        "Updated work@example.com.",
        "Kept work@example.com unchanged.",
        "Problem: One is broken.",
        "",
        "Read this.",
    ]
    nothing = {"added": [], "updated": [], "kept": [], "problems": [], "note": None}
    assert render.imported(nothing, PIPE) == ["Nothing to import was found."]


def test_a_switch_and_what_it_costs():
    result = {"account": REF, "previous": OTHER, "switched": True, "cost": FREE, "warning": None}
    assert " ".join(render.switched(result, PIPE)) == (
        "work@example.com is now the active account, instead of home@example.com (simulated)."
    )
    cost = {"sessions": 2, "reasoning_items": 14, "tokens": 183400}
    assert render.switched(result | {"cost": cost}, PIPE)[-3:] == [
        "  sessions moved     2, from the last hour",
        "  reasoning dropped  14 pieces, which only the other account can read",
        "  input to reread    183,400 tokens, without the prompt cache",
    ]
    first = result | {"previous": None}
    assert render.switched(first, PIPE) == ["work@example.com is now the active account."]


def test_a_dry_run_says_that_it_was_one():
    result = {"account": REF, "previous": OTHER, "switched": False, "cost": FREE, "warning": None}
    assert render.switched(result, PIPE) == [
        "Switching to work@example.com would mean:",
        "  no cost: no session from the last hour uses another account",
        "This was a dry run: home@example.com (simulated) stays the active account.",
    ]
    one = {"sessions": 1, "reasoning_items": 0, "tokens": 1}
    lines = render.switched(result | {"cost": one, "previous": None}, PIPE)
    assert lines[2:4] == ["  reasoning dropped  0 pieces", "  input to reread    1 token, without the prompt cache"]
    assert lines[-1] == "This was a dry run: no account is active."


@pytest.mark.parametrize("changes", [{}, {"switched": False}, {"previous": REF}])
def test_a_switch_to_an_account_that_cant_serve_warns(changes):
    result = {"account": REF, "previous": OTHER, "switched": True, "cost": FREE, "warning": "It is disabled."}
    assert "Warning: It is disabled." in render.switched(result | changes, PIPE)


def test_an_account_that_is_enabled_while_limited_says_until_when():
    limited = account(state="limited", limited_until=NOW + 7200)
    text = " ".join(render.changed({"account": limited}, PIPE))
    assert "is enabled. Its plan is still used up until " in text
    assert "(in 2 h), so the backend refuses its requests." in text


def test_a_switch_to_where_one_is():
    result = {"account": REF, "previous": REF, "switched": True, "cost": FREE, "warning": None}
    assert render.switched(result, PIPE) == ["work@example.com is already the active account."]


def test_removing():
    gone = render.removed({"account": REF, "revoked": True, "note": None}, PIPE)
    assert gone == ["Removed work@example.com. Its login was revoked at the sign-in server."]
    assert render.removed({"account": REF, "revoked": False, "note": "Why not."}, PIPE) == [
        "Removed work@example.com.",
        "Why not.",
    ]
    assert render.cleared({"removed": 1}, PIPE) == ["Removed 1 account."]
    assert render.cleared({"removed": 2}, PIPE) == ["Removed 2 accounts."]
    assert render.cleared({"removed": 0}, PIPE) == ["There are no accounts to remove."]


def test_enabling_and_disabling():
    off = account(state="disabled", active=False)
    assert render.changed({"account": off}, PIPE) == [
        "work@example.com is disabled. `codexctl accounts enable` enables it again."
    ]
    active_off = " ".join(render.changed({"account": off | {"active": True}}, PIPE))
    assert active_off.endswith("It is the active account: requests are refused until you switch to another.")
    assert render.changed({"account": account()}, PIPE) == ["work@example.com is enabled."]
    broken = account(state="needs_login", reason="Its login has ended.")
    assert render.changed({"account": broken}, PIPE) == ["work@example.com is enabled.", "Its login has ended."]


def test_checks_are_one_of_two_words_each():
    results = [
        {"account": REF, "ok": True, "message": "Refreshed."},
        {"account": OTHER, "ok": False, "message": "word " * 30},
    ]
    lines = render.checked({"results": results}, PIPE)
    assert lines[:3] == [
        "ok      work@example.com",
        "        Refreshed.",
        "failed  home@example.com (simulated)",
    ]
    assert max(len(line) for line in lines) <= 80
    assert "\x1b[31mfailed\x1b[0m" in "\n".join(render.checked({"results": results}, TERMINAL))
