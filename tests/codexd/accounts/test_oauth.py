import json

import httpx
import pytest
import trio

from codexd import __version__
from codexd.accounts.oauth import TIMEOUT_S, RefreshReply, TokenEndpoint
from codexd.errors import AccountNeedsLogin, RefreshUnavailable

SECRET = "rt_very_secret"


async def refresh(answer, auth_url="https://auth.example.com/"):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await TokenEndpoint(http, auth_url).refresh(SECRET)


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
    assert "`codex login`, then `codexctl accounts import`" in str(caught.value)
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
