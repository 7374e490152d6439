import base64
import hashlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio

from codexd import __version__, bounds
from codexd.accounts.login import SIGN_IN, read_identity, read_tokens
from codexd.accounts.model import RefreshReply
from codexd.accounts.outages import BackOff
from codexd.accounts.sign_in.server import (
    REVOKE_TIMEOUT_S,
    TIMEOUT_S,
    SignInServer,
    TokenEndpoint,
    authorize_url,
    challenge_of,
    make_verifier,
)
from codexd.errors import AccountNeedsLogin, LoginFailed, RefreshUnavailable

SECRET = "rt_very_secret"
REDIRECT = "http://localhost:1455/auth/callback"


NOW = 1_795_000_000.0


def make_endpoint(http, auth_url="https://auth.example.com/", back_off=None):
    return TokenEndpoint(SignInServer(http, auth_url, back_off or BackOff(lambda: 0.0), lambda: NOW))


async def refresh(answer, auth_url="https://auth.example.com/"):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await make_endpoint(http, auth_url).refresh(SECRET)


async def test_the_request_is_json_without_scope():
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json={"access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": 60})

    assert await refresh(answer) == RefreshReply("a", "r", "i", 60.0)
    [request] = asked
    assert (request.method, str(request.url)) == ("POST", "https://auth.example.com/oauth/token")
    assert json.loads(request.content) == {
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "grant_type": "refresh_token",
        "refresh_token": SECRET,
        "refresh_reason": "proactive_expiry",
    }
    assert request.headers["content-type"] == "application/json"
    assert (request.headers["user-agent"], request.headers["originator"]) == (f"codexd/{__version__}", "codexd")


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        ({"access_token": "a"}, RefreshReply("a")),
        ({"refresh_token": "r", "expires_in": "60"}, RefreshReply(None, "r")),
        ({"access_token": "a", "refresh_token": "", "id_token": 7, "expires_in": True}, RefreshReply("a")),
        ({"access_token": "a", "expires_in": 10**400}, RefreshReply("a")),
    ],
)
async def test_any_field_may_be_missing_or_doubtful(body, reply):
    assert await refresh(lambda _: httpx.Response(200, content=json.dumps(body))) == reply


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": {"code": "refresh_token_reused", "message": f"used {SECRET}"}}),
        (400, {"error": "invalid_grant", "error_description": SECRET}),
        (400, {"error": "INVALID_GRANT"}),
        (401, {"code": "refresh_token_expired"}),
        (400, {"error": {"code": "refresh_token_invalidated"}}),
        (403, {"error": "access_denied"}),
        (400, {"error": "invalid_token"}),
        (400, {"error": {"code": None}, "code": "app_session_terminated"}),
        (403, {"detail": "Your account has been deactivated."}),
        (403, "<p>Your Account has been deactivated</p>"),
        (401, {"error": "something_new"}),
        (401, f"<html>{SECRET}</html>"),
        (401, ""),
    ],
)
async def test_permanent_refusals(status, body):
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(AccountNeedsLogin) as caught:
        await refresh(lambda _: httpx.Response(status, content=content))
    assert str(caught.value).endswith(SIGN_IN)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": "temporary-failure"}),
        (503, {"error": "invalid_grant"}),
        (429, {"error": {"code": "rate_limit_exceeded"}}),
        (429, {"error": "invalid_grant"}),
        (400, {"error": "something_new"}),
        (400, {"error": [SECRET]}),
        (403, "<html>Just a moment...</html>"),
        (404, ""),
        (302, ""),
        (200, "<html>portal</html>"),
        (200, []),
        (200, {}),
        (200, {"access_token": None, "id_token": "i"}),
    ],
)
async def test_transient_refusals(status, body):
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(RefreshUnavailable, match=rf"auth\.example\.com answered {status}") as caught:
        await refresh(lambda _: httpx.Response(status, content=content))
    assert SECRET not in str(caught.value)


async def test_the_code_is_shown_only_when_it_looks_like_one():
    with pytest.raises(RefreshUnavailable, match=r"400 \(something_new\)"):
        await refresh(lambda _: httpx.Response(400, json={"error": "something_new"}))
    with pytest.raises(RefreshUnavailable) as caught:
        await refresh(lambda _: httpx.Response(400, json={"error": f"{SECRET} 123"}))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("error", [httpx.ConnectError(""), httpx.ReadTimeout(""), httpx.RemoteProtocolError("")])
async def test_no_connection(error):
    def answer(_):
        raise error

    with pytest.raises(RefreshUnavailable, match=rf"upstream\.auth_url.*{type(error).__name__}") as caught:
        await refresh(answer, "https://user:pass@auth.example.com")
    assert "pass@" not in str(caught.value)


async def test_a_silent_server_is_given_up(autojump_clock):
    async def answer(_):
        await trio.sleep(TIMEOUT_S + 1)
        return httpx.Response(200, json={"access_token": "late"})

    with pytest.raises(RefreshUnavailable, match="30 seconds"):
        await refresh(answer)


async def exchange(answer, now=1_795_000_000.0):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        endpoint = make_endpoint(http)
        return await endpoint.exchange("ac_secret", redirect_uri=REDIRECT, verifier="v_secret", now=now)


def test_the_authorize_url():
    url = authorize_url("https://auth.example.com/", redirect_uri=REDIRECT, state="st/+ 1", challenge="ch")
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://auth.example.com/oauth/authorize"
    assert "+" not in parts.query
    assert "scope=openid%20profile%20email%20offline_access" in parts.query
    assert parse_qs(parts.query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["app_EMoamEEZ73f0CkXaXp7hrann"],
        "redirect_uri": [REDIRECT],
        "scope": ["openid profile email offline_access api.connectors.read api.connectors.invoke"],
        "code_challenge": ["ch"],
        "code_challenge_method": ["S256"],
        "id_token_add_organizations": ["true"],
        "codex_cli_simplified_flow": ["true"],
        "state": ["st/+ 1"],
        "originator": ["codexd"],
    }


def test_the_pkce_pair():
    verifier = make_verifier()
    assert re.fullmatch(r"[A-Za-z0-9_-]{86}", verifier)
    assert make_verifier() != verifier
    digest = base64.urlsafe_b64decode(challenge_of(verifier) + "=")
    assert digest == hashlib.sha256(verifier.encode()).digest()


async def test_an_exchange_is_form_encoded_and_gives_an_auth_json(login):
    tokens = login()["tokens"]
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json={**tokens, "token_type": "Bearer", "expires_in": 60})

    auth_json = await exchange(answer)
    [request] = asked
    assert str(request.url) == "https://auth.example.com/oauth/token"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode(), strict_parsing=True) == {
        "grant_type": ["authorization_code"],
        "code": ["ac_secret"],
        "redirect_uri": [REDIRECT],
        "client_id": ["app_EMoamEEZ73f0CkXaXp7hrann"],
        "code_verifier": ["v_secret"],
    }
    assert auth_json == {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": tokens,
        "last_refresh": "2026-11-18T11:06:40.000000Z",
    }
    assert read_tokens(auth_json).refresh_token == tokens["refresh_token"]
    assert read_identity(auth_json).email == "ann@example.com"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": "invalid_grant", "error_description": SECRET}, r"used before.*\(invalid_grant\)"),
        (403, {"error": {"code": "access_denied", "message": SECRET}}, "denies the account access"),
        (403, {"detail": "Your account has been deactivated."}, "OpenAI has deactivated the account"),
        (400, {"error": {"type": "invalid_request_error", "code": "something_new"}}, r"answered 400 \(something_new\)"),
        (403, f"<html>{SECRET}</html>", "answered 403"),
        (429, {"error": "invalid_grant"}, "answered 429.*in a minute"),
        (503, "", "answered 503.*in a minute"),
        (302, "", "answered 302"),
        (200, "<html>portal</html>", "without an access token"),
        (200, {"access_token": "a.b.c"}, "without a refresh token"),
        (200, {"access_token": "a.b.c", "refresh_token": SECRET}, "tokens that can't be used"),
    ],
)
async def test_refused_exchanges(status, body, words):
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(LoginFailed, match=words) as caught:
        await exchange(lambda _: httpx.Response(status, content=content))
    assert "secret" not in str(caught.value)
    assert "sign" in str(caught.value).rpartition(". ")[2]  # what to do


async def test_an_exchange_without_a_connection():
    def answer(_):
        raise httpx.ConnectError("secret")

    with pytest.raises(LoginFailed, match=r"upstream\.auth_url.*ConnectError.*Check the network") as caught:
        await exchange(answer)
    assert "secret" not in str(caught.value)


async def revoke(answer):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await make_endpoint(http).revoke(SECRET)


async def test_a_revoked_login():
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200)

    assert await revoke(answer) is True
    [request] = asked
    assert str(request.url) == "https://auth.example.com/oauth/revoke"
    assert json.loads(request.content) == {
        "token": SECRET,
        "token_type_hint": "refresh_token",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
    }


async def test_a_login_that_could_not_be_revoked_is_not_an_error(autojump_clock, caplog):
    async def stay_silent(_):
        await trio.sleep(REVOKE_TIMEOUT_S + 1)
        return httpx.Response(200)

    def fail(_):
        raise httpx.ConnectError("")

    assert not await revoke(lambda _: httpx.Response(503, text=SECRET))
    assert not await revoke(fail)
    assert not await revoke(stay_silent)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("token", ["s\u00e9cret", "secret\n", " secret"])
async def test_a_token_that_no_header_takes_is_none(token):
    with pytest.raises(RefreshUnavailable, match="without a token") as caught:
        await refresh(lambda _: httpx.Response(200, json={"access_token": token, "refresh_token": token}))
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 401, 503])
@pytest.mark.parametrize("content", [b"", b"<html>", b"x" * 10_000_000, b"[" * 100_000, b"\xff\xfe", b"null", b"[]"])
@pytest.mark.parametrize("content_type", ["application/json", "text/html; charset=hex", "text/html; charset=utf-16"])
async def test_whatever_the_server_answers_is_an_error_of_ours(status, content, content_type):
    answer = httpx.Response(status, content=content, headers={"content-type": content_type})
    with pytest.raises((RefreshUnavailable, AccountNeedsLogin)):
        await refresh(lambda _: answer)


async def test_an_answer_that_is_too_large_is_not_read():
    class Endless(httpx.AsyncByteStream):
        sent_bytes = 0
        closed = False

        def __aiter__(self):
            return self

        async def __anext__(self):
            if self.closed:
                raise StopAsyncIteration
            self.sent_bytes += 65536
            return b" " * 65536

        async def aclose(self):
            self.closed = True

    body = Endless()
    with pytest.raises(RefreshUnavailable, match="its answer broke off or can't be read"):
        await refresh(lambda _: httpx.Response(200, stream=body))
    assert body.sent_bytes <= 2 * bounds.SIGN_IN_BYTES


async def test_an_answer_that_breaks_off():
    class Broken(httpx.AsyncByteStream):
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise httpx.RemoteProtocolError("PROMPT")

    with pytest.raises(RefreshUnavailable, match="its answer broke off or can't be read") as caught:
        await refresh(lambda _: httpx.Response(200, stream=Broken()))
    assert "PROMPT" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (httpx.Response(503), 5),
        (httpx.Response(500, json={"error": "server_error"}), 5),
        (httpx.Response(429, headers={"retry-after": "90"}), 90),
        (httpx.ConnectError("refused"), 5),
    ],
)
async def test_every_failure_of_the_server_is_noted_for_all_who_ask_it(answer, wait_s):
    back_off = BackOff(lambda: 0.0)

    def reply(_request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as http:
        endpoint = make_endpoint(http, back_off=back_off)
        with pytest.raises(RefreshUnavailable):
            await endpoint.refresh(SECRET)
    assert back_off.retry_at == NOW + wait_s
    assert "sign-in server auth.example.com" in back_off.problem


@pytest.mark.parametrize("status", [200, 400, 401, 403])
async def test_any_other_answer_shows_that_it_works(status):
    back_off = BackOff(lambda: 0.0)
    back_off.note_failure("It failed.", NOW - 60)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(status))) as http:
        with pytest.raises((RefreshUnavailable, AccountNeedsLogin)):
            await make_endpoint(http, back_off=back_off).refresh(SECRET)
    assert back_off.failures == 0
