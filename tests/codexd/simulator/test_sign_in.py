"""Tokens: single use, family kill, and what the backend says to each kind of bad token."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from codexd.jsontext import loads
from codexd.simulator.credentials import CLIENT_ID
from codexd.simulator.options import Options
from codexd.simulator.refusals import Refusal
from codexd.simulator.sign_in import SignIn

EMAIL = "ann@example.com"


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def oauth(clock: Clock) -> SignIn:
    return SignIn(clock=clock, options=Options())


def read_claims(token: str) -> dict[str, Any]:
    header, payload, signature = token.split(".")
    assert signature  # the Codex CLI reads no token without
    assert loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"
    claims = loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims, dict)
    return claims


def refresh(oauth: SignIn, token: Any, **changes: Any) -> Any:
    form = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token}
    return oauth.refresh(form, **changes)


def find_code(refusal: Any) -> Any:
    assert isinstance(refusal, Refusal)
    return refusal.status, refusal.body["error"]["code"]


def check(oauth: SignIn, tokens: dict[str, Any], account_id: str | None = None) -> Any:
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    return oauth.check({**headers, "chatgpt-account-id": account_id or oauth.find(EMAIL).account_id})


def test_the_auth_json_of_a_sign_in(oauth: SignIn, clock: Clock) -> None:
    auth = oauth.sign_in(EMAIL, "pro", 240)
    assert set(auth) == {"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"}
    assert auth["last_refresh"] == "2026-11-18T11:06:40Z"
    access, identity = read_claims(auth["tokens"]["access_token"]), read_claims(auth["tokens"]["id_token"])
    assert access["exp"] == clock.now + 240
    assert identity["email"] == access["https://api.openai.com/profile"]["email"] == EMAIL
    for claims in (access, identity):
        block = claims["https://api.openai.com/auth"]
        assert block["chatgpt_account_id"] == auth["tokens"]["account_id"]
        assert block["chatgpt_plan_type"] == "pro"
    assert check(oauth, auth["tokens"]).email == EMAIL


def test_an_account_keeps_its_id(oauth: SignIn) -> None:
    first, second = (oauth.sign_in(EMAIL, "plus", 60)["tokens"] for _ in range(2))
    other = oauth.sign_in("ben@example.com", "plus", 60)["tokens"]
    assert first["account_id"] == second["account_id"] != other["account_id"]
    assert first["access_token"] != second["access_token"]


def test_a_refresh_token_serves_once(oauth: SignIn) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    reply = refresh(oauth, tokens["refresh_token"])
    assert reply["refresh_token"] != tokens["refresh_token"]
    assert check(oauth, reply).email == EMAIL
    assert find_code(refresh(oauth, tokens["refresh_token"])) == (401, "refresh_token_reused")


def test_reuse_kills_the_family_and_no_other(oauth: SignIn) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    other = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    newer = refresh(oauth, tokens["refresh_token"])
    refresh(oauth, tokens["refresh_token"])
    assert find_code(check(oauth, newer)) == (401, "token_invalidated")
    assert find_code(refresh(oauth, newer["refresh_token"])) == (401, "refresh_token_invalidated")
    assert check(oauth, other).email == EMAIL


def test_the_family_can_be_spared(clock: Clock) -> None:
    oauth = SignIn(clock=clock, options=Options(kill_family_on_reuse=False))
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    newer = refresh(oauth, tokens["refresh_token"])
    assert find_code(refresh(oauth, tokens["refresh_token"])) == (401, "refresh_token_reused")
    assert "access_token" in refresh(oauth, newer["refresh_token"])


def test_replies_that_leave_something_out(oauth: SignIn) -> None:
    token = oauth.sign_in(EMAIL, "plus", 60)["tokens"]["refresh_token"]
    assert "id_token" not in refresh(oauth, token, omit=("id_token", "refresh_token"))
    assert "refresh_token" in refresh(oauth, token)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", (400, "empty_string")),
        ("rt_x", (401, "refresh_token_invalidated")),
        (None, (401, "refresh_token_invalidated")),
    ],
)
def test_bad_refresh_tokens(oauth: SignIn, token: Any, expected: tuple[int, str]) -> None:
    assert find_code(refresh(oauth, token)) == expected


def test_a_foreign_client_is_refused(oauth: SignIn) -> None:
    refusal = oauth.refresh({"client_id": "app_other", "refresh_token": "rt_x"})
    assert isinstance(refusal, Refusal)
    assert refusal.body["error"] == "invalid_client"


def test_the_lifetime_of_refreshed_tokens(clock: Clock) -> None:
    oauth = SignIn(clock=clock, options=Options(access_token_lifetime_s=360))
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    reply = refresh(oauth, tokens["refresh_token"])
    assert (reply["expires_in"], read_claims(reply["access_token"])["exp"]) == (360, clock.now + 360)
    reply = refresh(oauth, reply["refresh_token"], access_expires_in_s=-5)
    assert find_code(check(oauth, reply)) == (401, "token_expired")


def test_access_tokens_expire(oauth: SignIn, clock: Clock) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    clock.now += 60
    assert find_code(check(oauth, tokens)) == (401, "token_expired")


def test_access_can_be_expired_or_revoked_at_once(oauth: SignIn) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    oauth.expire_access(EMAIL)
    assert find_code(check(oauth, tokens)) == (401, "token_expired")
    tokens = refresh(oauth, tokens["refresh_token"])
    oauth.revoke_access(EMAIL)
    assert find_code(check(oauth, tokens)) == (401, "token_invalidated")
    tokens = refresh(oauth, tokens["refresh_token"])
    assert check(oauth, tokens).email == EMAIL
    oauth.revoke(EMAIL)
    assert find_code(check(oauth, tokens)) == (401, "token_invalidated")
    assert find_code(refresh(oauth, tokens["refresh_token"])) == (401, "refresh_token_invalidated")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"authorization": "Bearer "}])
def test_no_bearer(oauth: SignIn, headers: dict[str, str]) -> None:
    assert oauth.check(headers) == Refusal(401, {"detail": "Unauthorized"})


def test_an_unknown_bearer(oauth: SignIn) -> None:
    refusal = oauth.check({"authorization": "Bearer x"})
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert refusal.body["error"]["message"].startswith("Could not parse your authentication token.")


@pytest.mark.parametrize("account_id", ["", "11111111-2222-3333-4444-555555555555"])
def test_the_account_header_must_be_the_tokens_own(oauth: SignIn, account_id: str) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    headers = {"authorization": f"Bearer {tokens['access_token']}"} | (
        {"chatgpt-account-id": account_id} if account_id else {}
    )
    assert oauth.check(headers) == Refusal(403, {"detail": {"code": "invalid_workspace_selected"}})


def test_a_deactivated_workspace(oauth: SignIn) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    oauth.deactivate(EMAIL)
    assert check(oauth, tokens) == Refusal(402, {"detail": {"code": "deactivated_workspace"}})


def test_logging_out_ends_the_family(oauth: SignIn) -> None:
    tokens = oauth.sign_in(EMAIL, "plus", 60)["tokens"]
    oauth.revoke_token(tokens["refresh_token"])
    oauth.revoke_token("unknown")
    assert find_code(check(oauth, tokens)) == (401, "token_invalidated")
