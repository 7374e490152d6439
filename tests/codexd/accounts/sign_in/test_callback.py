from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.sign_in.callback import Callback, ask_to_cancel, parse_pasted, parse_query, refusal_of
from codexd.errors import RequestInvalid

URL = "http://localhost:1455/auth/callback"


@pytest.mark.parametrize(
    ("text", "code", "state"),
    [
        (f"{URL}?code=ac_1&state=s-1", "ac_1", "s-1"),
        (f"  {URL}?state=s-1&code=ac_1\n", "ac_1", "s-1"),
        (f"'{URL}?code=ac_1&state=s-1'", "ac_1", "s-1"),
        (f"{URL}?code=ac_\n  1&state=s\n-1", "ac_1", "s-1"),
        (f"{URL}?code=ac_1&scope=openid%20email&state=s-1#_=_", "ac_1", "s-1"),
        ("localhost:1455/auth/callback?code=ac_1&state=s-1", "ac_1", "s-1"),
        ("127.0.0.1:1455/auth/callback?code=ac_1", "ac_1", None),
        ("?code=ac_1&state=s-1", "ac_1", "s-1"),
        ("code=ac_1&state=s-1", "ac_1", "s-1"),
        ("state=s-1&code=ac_1", "ac_1", "s-1"),
        ("ac_1#s-1", "ac_1", "s-1"),
        ("ac_1#s-1=", "ac_1", "s-1="),
        ("ac_1", "ac_1", None),
        ("ac.1-x_y", "ac.1-x_y", None),
    ],
)
def test_what_can_be_pasted(text, code, state):
    assert parse_pasted(text) == Callback(code, state)


def test_a_pasted_refusal():
    pasted = parse_pasted(f"{URL}?error=access_denied&error_description=not+now&state=s")
    assert pasted == Callback(None, "s", "access_denied", "not now")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "''",
        "#state",
        "https://auth.example.com/oauth/authorize?response_type=code&code_challenge=c&state=s",
        f"{URL}?code=&state=s",
        "http://[::1",
        "a" * 9000,
    ],
)
def test_what_holds_no_code(text):
    with pytest.raises(RequestInvalid, match=r"input: .*localhost:1455/auth/callback\?code=") as caught:
        parse_pasted(text)
    assert caught.value.path == "input"


@given(st.text(max_size=200))
def test_any_paste_is_read_or_refused(text):
    try:
        callback = parse_pasted(text)
    except RequestInvalid:
        return
    assert callback.code or callback.error


def test_the_first_of_a_name_counts():
    assert parse_query("code=1&code=2&x=&y") == {"code": "1"}


def test_nothing_secret_is_shown():
    assert "secret" not in repr(Callback("secret", "secret"))


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (Callback(error="access_denied"), "was denied on the sign-in page. Start"),
        (Callback(error="access_denied", description="The user said no."), r"\(it says: The user said no\)"),
        (Callback(error="access_denied", description="missing_codex_entitlement: x"), "no access to Codex"),
        (Callback(error="missing_codex_entitlement"), "no access to Codex"),
        (Callback(error="server_error", description="try\nlater\x1b[31m"), r"\(server_error: try later \[31m\)"),
        (Callback(error="odd"), r"error \(odd\)"),
    ],
)
def test_refusals(callback, words):
    with pytest.raises(Exception, match=words):
        raise refusal_of(callback)


def test_a_refusal_is_short():
    assert len(str(refusal_of(Callback(error="x" * 5000, description="y" * 5000)))) < 600


async def test_another_program_is_asked_to_cancel(nursery):
    asked = []

    async def answer(stream):
        async with stream:
            asked.append(await stream.receive_some(1024))
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

    listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    await ask_to_cancel(port)
    assert asked == [f"GET /cancel HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()]


async def test_one_that_does_not_answer_is_not_waited_for(nursery):
    async def hang_up(stream):
        await stream.aclose()

    listeners = await nursery.start(partial(trio.serve_tcp, hang_up, 0, host="127.0.0.1"))
    await ask_to_cancel(listeners[0].socket.getsockname()[1])
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        await ask_to_cancel(free.getsockname()[1])
