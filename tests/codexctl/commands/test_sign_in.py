import json
import signal
import time

import pytest

URL = "https://auth.example.com/oauth/authorize?" + "x" * 300
CALLBACK = "http://localhost:1455/auth/callback?code=ac_secret&state=s"
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
    "simulated": False,
}
SIGNED_IN = {"account": REF, "added": True}


@pytest.fixture
def sign_in(daemon, scripting):
    """Scripts a sign-in of that method, which then is the only account, and active."""
    later, _ = scripting

    def script(method):
        code = "ABCD-EFGHI" if method == "device" else None
        flow = {"flow": "4f1c2a", "method": method, "url": URL, "user_code": code, "expires_at": time.time() + 899}
        daemon.answers["accounts.login.start"] = flow
        daemon.answers["accounts.login.wait"] = later
        daemon.answers["accounts.login.cancel"] = {"cancelled": 1}
        daemon.answers["accounts.list"] = {"accounts": [{**REF, "state": "ok"}], "active": REF["id"]}
        return flow

    return script


def methods(daemon):
    return [method for method, _ in daemon.calls]


def test_browser_in_a_pipe(daemon, piped, sign_in):
    sign_in("browser")
    process = piped("accounts", "add")
    assert daemon.next_call("accounts.login.start") == {"method": "browser"}
    assert daemon.next_call("accounts.login.wait") == {"flow": "4f1c2a"}
    daemon.reply("accounts.login.wait", SIGNED_IN)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == ["Open this address in a browser on this machine, and sign in there:", "", URL]
    assert lines[-2:] == ["Signed in: work@example.com, plan plus.", "It is the active account."]
    assert "accounts.login.cancel" not in methods(daemon)


def test_a_line_on_a_pipe_is_a_paste(daemon, piped, sign_in):
    sign_in("browser")
    daemon.answers["accounts.login.complete"] = SIGNED_IN
    process = piped("accounts", "add")
    out, _ = process.communicate(f"\n {CALLBACK} \n", timeout=20)
    assert process.returncode == 0
    assert daemon.next_call("accounts.login.complete") == {"flow": "4f1c2a", "input": CALLBACK}
    assert "Signed in: work@example.com" in out


def test_json_is_the_flow_and_then_the_account(daemon, piped, sign_in):
    flow = sign_in("device")
    process = piped("accounts", "add", "--device", "--json")
    assert json.loads(process.stdout.readline()) == flow
    assert daemon.next_call("accounts.login.start") == {"method": "device"}
    daemon.next_call("accounts.login.wait")
    daemon.reply("accounts.login.wait", SIGNED_IN)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, json.loads(out), err) == (0, SIGNED_IN, "")


def test_the_browser_opens_at_a_terminal(daemon, terminal, sign_in, tmp_path):
    sign_in("browser")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    screen = terminal("accounts", "add", BROWSER=f"{browser} %s")
    screen.wait_for("waiting for the browser: 14 min")
    assert opened.read_text() == URL
    assert f"\n\x1b]8;;{URL}\x1b\\{URL}\x1b]8;;\x1b\\\n" in screen.shown
    assert "with the browser that opens now" in screen.shown
    daemon.reply("accounts.login.wait", SIGNED_IN)
    assert screen.end() == 0
    assert screen.shown.endswith("plan plus.\nIt is the active account.\n")


def test_a_wrong_paste_is_said_and_the_wait_goes_on_unseen(daemon, terminal, sign_in, scripting):
    _, refusal = scripting
    sign_in("browser")
    daemon.answers["accounts.login.complete"] = refusal("What was pasted belongs to another sign-in.")
    screen = terminal("accounts", "add", DISPLAY="")
    screen.wait_for("waiting for the browser")
    assert "codexctl accounts add --device" in screen.shown
    screen.type(f"{CALLBACK}\n")
    screen.wait_for("codexctl: What was pasted belongs to another sign-in.\n")
    assert "ac_secret" not in screen.shown
    daemon.answers["accounts.login.complete"] = SIGNED_IN
    screen.type(f"{CALLBACK}\n")
    assert screen.end() == 0


def test_the_terminal_echoes_again_afterwards(daemon, terminal, sign_in):
    sign_in("browser")
    screen = terminal("accounts", "add", DISPLAY="")
    screen.wait_for("waiting for the browser")
    daemon.reply("accounts.login.wait", SIGNED_IN)
    assert screen.end() == 0
    screen.type("typed later")
    screen.wait_for("typed later")


def test_a_manual_sign_in_asks_again(daemon, terminal, sign_in, scripting):
    _, refusal = scripting
    sign_in("manual")
    daemon.answers["accounts.login.complete"] = refusal("no code is in it", "request_invalid")
    screen = terminal("accounts", "add", "--no-browser")
    assert daemon.next_call("accounts.login.start") == {"method": "manual"}
    screen.wait_for("within 15 min.\nAddress or code: ")
    screen.type("\n")
    screen.wait_for("Address or code: \nAddress or code: ")
    screen.type("bogus\n")
    screen.wait_for("codexctl: no code is in it\nAddress or code: ")
    daemon.answers["accounts.login.complete"] = {"account": REF, "added": False}
    screen.type("ac_code\n")
    assert screen.end() == 0
    assert "Signed in again: " in screen.shown
    given = [params["input"] for method, params in daemon.calls if method == "accounts.login.complete"]
    assert given == ["bogus", "ac_code"]


def test_a_manual_sign_in_without_input_is_wrong_usage(daemon, piped, sign_in):
    sign_in("manual")
    process = piped("accounts", "add", "--no-browser")
    _, err = process.communicate("", timeout=20)
    assert process.returncode == 2
    assert "codexctl: the input ended before an address or a code was entered.\n" in err
    assert daemon.next_call("accounts.login.cancel") == {"flow": "4f1c2a"}


def test_the_last_line_of_a_script_is_awaited(daemon, piped, sign_in, scripting):
    later, refusal = scripting
    sign_in("manual")
    daemon.answers["accounts.login.complete"] = later
    process = piped("accounts", "add", "--no-browser")
    process.stdin.write("ac_code")
    process.stdin.close()
    process.stdin = None
    daemon.next_call("accounts.login.complete")
    daemon.reply("accounts.login.complete", refusal("the code is too old"))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "codexctl: the code is too old\n" in err


def test_a_device_code_stands_in_a_box(daemon, terminal, sign_in):
    sign_in("device")
    screen = terminal("accounts", "add", "--device", NO_COLOR="1")
    screen.wait_for("waiting for the code: 14 min")
    assert f"\n{URL}\n" in screen.shown
    assert "\n  │   ABCD-EFGHI   │\n" in screen.shown
    daemon.reply("accounts.login.wait", SIGNED_IN)
    assert screen.end() == 0


@pytest.mark.parametrize("arguments", [(), ("--no-browser",), ("--device",)])
def test_ctrl_c_cancels(daemon, terminal, sign_in, arguments):
    sign_in({(): "browser", ("--no-browser",): "manual", ("--device",): "device"}[arguments])
    screen = terminal("accounts", "add", *arguments, BROWSER="true %s")
    daemon.next_call("accounts.login.wait")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert daemon.next_call("accounts.login.cancel") == {"flow": "4f1c2a"}
    assert screen.shown.endswith("codexctl: the sign-in was cancelled.\n")


@pytest.mark.parametrize(
    ("arguments", "changes", "drawn"),
    [
        (["--device"], {}, True),
        (["--device"], {"NO_COLOR": "1"}, False),
        ([], {"DISPLAY": ":0", "BROWSER": "true %s"}, False),
        (["--no-browser"], {"SSH_CONNECTION": "1"}, True),
    ],
)
def test_the_address_as_a_qr_code(daemon, terminal, sign_in, arguments, changes, drawn):
    flow = sign_in("device" if arguments == ["--device"] else "manual" if arguments else "browser")
    flow["url"] = "https://auth.example.com/codex/device"
    screen = terminal("accounts", "add", *arguments, size=(30, 80), **changes)
    screen.wait_for("Address or code" if flow["method"] == "manual" else "waiting for")
    assert ("█▀▀" in screen.shown) == drawn
    daemon.next_call("accounts.login.wait")
    daemon.reply("accounts.login.wait", SIGNED_IN)
    assert screen.end() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_closes_cancels(daemon, piped, sign_in, number):
    sign_in("browser")
    process = piped("accounts", "add")
    daemon.next_call("accounts.login.wait")
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert daemon.next_call("accounts.login.cancel") == {"flow": "4f1c2a"}


def test_under_nohup_a_terminal_that_closes_changes_nothing(daemon, piped, sign_in):
    sign_in("browser")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = piped("accounts", "add")
    finally:
        signal.signal(signal.SIGHUP, before)
    daemon.next_call("accounts.login.wait")
    process.send_signal(signal.SIGHUP)
    daemon.reply("accounts.login.wait", SIGNED_IN)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "No sign-in was under way."), (1, "The sign-in was cancelled."), (2, "2 sign-ins were cancelled.")],
)
def test_cancel(daemon, piped, count, said):
    daemon.answers["accounts.login.cancel"] = {"cancelled": count}
    out, err = piped("accounts", "add", "--cancel").communicate(timeout=20)
    assert (out, err) == (f"{said}\n", "")
    out, _ = piped("accounts", "add", "--cancel", "--json").communicate(timeout=20)
    assert json.loads(out) == {"cancelled": count}
    assert methods(daemon) == ["accounts.login.cancel"] * 2


def test_a_sign_in_that_the_daemon_ends_is_exit_1_in_its_words(daemon, piped, sign_in, scripting):
    _, refusal = scripting
    sign_in("browser")
    daemon.answers["accounts.login.wait"] = refusal("Nobody signed in.", "login_expired")
    daemon.answers["accounts.login.cancel"] = {"cancelled": 0}
    process = piped("accounts", "add")
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "codexctl: Nobody signed in.\n")


def test_a_paste_that_ends_the_flow_is_said_once(daemon, terminal, sign_in, scripting):
    _, refusal = scripting
    sign_in("manual")
    daemon.answers["accounts.login.cancel"] = {"cancelled": 0}
    daemon.answers["accounts.login.complete"] = refusal("You said no.")
    screen = terminal("accounts", "add", "--no-browser")
    screen.wait_for("Address or code: ")
    screen.type("http://localhost:1455/auth/callback?error=access_denied\n")
    screen.wait_for("You said no.")
    daemon.reply("accounts.login.wait", refusal("You said no."))
    assert screen.end() == 1
    assert screen.shown.count("You said no.") == 1


def test_a_daemon_that_goes_away_is_exit_3(daemon, piped, sign_in):
    sign_in("device")
    process = piped("accounts", "add", "--device")
    daemon.next_call("accounts.login.wait")
    daemon.close()
    daemon.hang_up("accounts.login.wait")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "closed the connection" in err


def test_an_account_that_is_not_active_says_how_to_switch(daemon, piped, sign_in):
    sign_in("device")
    daemon.answers["accounts.login.wait"] = SIGNED_IN
    listed = [{**OTHER, "state": "ok"}, {**REF, "state": "disabled"}]
    daemon.answers["accounts.list"] = {"accounts": listed, "active": OTHER["id"]}
    out, _ = piped("accounts", "add", "--device").communicate(timeout=20)
    assert out.splitlines()[-5:] == [
        "Signed in: work@example.com, plan plus.",
        "This account is disabled. Enable it with:",
        "  codexctl accounts enable work@example.com",
        "home@example.com stays the active account. Switch to the new one with:",
        "  codexctl accounts switch work@example.com",
    ]


def test_under_json_a_paste_that_ends_the_flow_is_the_last_document(daemon, piped, sign_in, scripting):
    _, refusal = scripting
    sign_in("manual")
    daemon.answers["accounts.login.cancel"] = {"cancelled": 0}
    daemon.answers["accounts.login.complete"] = refusal("You said no.")
    process = piped("accounts", "add", "--no-browser", "--json")
    process.stdin.write(f"{CALLBACK}\n")
    process.stdin.flush()
    daemon.next_call("accounts.login.complete")
    assert "You said no." in process.stderr.readline()
    daemon.reply("accounts.login.wait", refusal("You said no."))
    assert json.loads(process.stdout.readline())["flow"] == "4f1c2a"
    assert json.loads(process.stdout.readline()) == {"error": {"kind": "login_failed", "message": "You said no."}}
    assert process.wait(timeout=20) == 1


def test_under_json_every_line_is_a_document(daemon, piped, sign_in, scripting):
    sign_in("device")
    daemon.answers["accounts.login.wait"] = SIGNED_IN
    out, _ = piped("accounts", "add", "--device", "--json").communicate(timeout=20)
    assert [json.loads(line) for line in out.splitlines()] == [daemon.answers["accounts.login.start"], SIGNED_IN]
    _, refusal = scripting
    daemon.answers["accounts.login.wait"] = refusal("The sign-in failed.", "login_failed")
    out, _ = piped("accounts", "add", "--device", "--json").communicate(timeout=20)
    assert json.loads(out.splitlines()[-1]) == {"error": {"kind": "login_failed", "message": "The sign-in failed."}}
