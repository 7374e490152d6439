"""The sign-in server over real sockets: the page, the exchange, device codes, and what is recorded of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest
import trio
from attrs import define, field

from codexd.simulator.app import Simulator, serve_simulator
from codexd.simulator.credentials import CLIENT_ID, CODE_LIFETIME_S, make_challenge
from codexd.simulator.options import Options
from codexd.simulator.wire import Outcome

VERIFIER = "v" * 43
REDIRECT_URI = "http://localhost:1455/auth/callback"
ASKED = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT_URI,
    "scope": "openid profile email offline_access",
    "code_challenge": make_challenge(VERIFIER),
    "code_challenge_method": "S256",
    "state": "state-1",
}
USERCODE = "/api/accounts/deviceauth/usercode"
POLL = "/api/accounts/deviceauth/token"


def make_url(**changes: str) -> str:
    return f"/oauth/authorize?{urlencode({**ASKED, **changes}, quote_via=quote)}"


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@define
class Bench:
    simulator: Simulator
    http: httpx.AsyncClient
    base: str
    clock: Clock = field(repr=False)

    async def decide(self, url: str = "", **form: str) -> dict[str, str]:
        """The callback's parameters."""
        response = await self.http.post(url or make_url(), data=form)
        assert response.status_code == 302
        url, _, query = response.headers["location"].partition("?")
        assert url == REDIRECT_URI
        return {name: values[0] for name, values in parse_qs(query).items()}

    async def allow(self, email: str = "ann@example.com", workspace: str = "personal") -> str:
        """The code of a sign-in that was allowed."""
        callback = await self.decide(email=email, workspace=workspace, decision="allow")
        assert callback["state"] == "state-1"
        return callback["code"]

    async def exchange(self, code: str, /, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT_ID,
            "code_verifier": VERIFIER,
        }
        return await self.http.post("/oauth/token", data={**form, **changes})

    async def request_device(self) -> dict[str, str]:
        response = await self.http.post(USERCODE, json={"client_id": CLIENT_ID})
        assert response.status_code == 200
        reply: dict[str, str] = response.json()
        return reply

    async def poll(self, device: dict[str, str], **changes: str) -> httpx.Response:
        form = {key: device[key] for key in ("device_auth_id", "user_code")}
        return await self.http.post(POLL, json={**form, **changes})

    async def ask_backend(self, tokens: dict[str, str], account_id: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {tokens['access_token']}", "chatgpt-account-id": account_id}
        return await self.http.get("/backend-api/wham/usage", headers=headers)


@asynccontextmanager
async def open_bench(**options: Any) -> AsyncIterator[Bench]:
    clock = Clock()
    simulator = Simulator(options=Options(**options), clock=clock)
    async with trio.open_nursery() as nursery:
        base = await nursery.start(serve_simulator, simulator)
        async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
            yield Bench(simulator, http, base, clock)
        nursery.cancel_scope.cancel()


async def test_the_login_page() -> None:
    async with open_bench() as bench:
        response = await bench.http.get(make_url())
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        for part in ('name="email"', "simulated@example.com", 'id="allow"', 'id="deny"', "simulated sign-in page"):
            assert part in response.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_is_not_in_order_gets_a_page_that_names_the_fault(method: str) -> None:
    async with open_bench() as bench:
        url = make_url(redirect_uri="http://evil.example:1455/auth/callback")
        response = await bench.http.request(method, url, data={"decision": "allow"} if method == "POST" else None)
        assert response.status_code == 400
        assert response.headers["content-type"].startswith("text/html")
        assert "The redirect_uri must be" in response.text
        assert bench.simulator.requests[0].outcome is Outcome.REFUSED


async def test_signing_in() -> None:
    async with open_bench(access_token_lifetime_s=3_600) as bench:
        response = await bench.exchange(await bench.allow())
        assert response.status_code == 200
        tokens = response.json()
        assert set(tokens) == {"id_token", "access_token", "refresh_token", "token_type", "expires_in", "scope"}
        assert tokens["expires_in"] == 3_600
        account = bench.simulator.oauth.find("ann@example.com")
        assert account.plan == "plus"
        assert (await bench.ask_backend(tokens, account.account_id)).json()["email"] == "ann@example.com"
        assert bench.simulator.oauth.is_live(tokens["refresh_token"])


async def test_two_workspaces_are_two_accounts_of_one_user() -> None:
    async with open_bench() as bench:
        codes = [await bench.allow(workspace=workspace) for workspace in ("personal", "acme")]
        replies = [(await bench.exchange(code)).json() for code in codes]
        personal, acme = (bench.simulator.oauth.find("ann@example.com", name) for name in ("personal", "acme"))
        assert personal.user_id == acme.user_id
        assert personal.account_id != acme.account_id
        assert (await bench.ask_backend(replies[1], acme.account_id)).status_code == 200
        assert (await bench.ask_backend(replies[1], personal.account_id)).status_code == 403
        assert bench.simulator.requests[-1].headers["authorization"] == "ann@example.com (acme)"
        imported = bench.simulator.sign_in("ann@example.com", workspace="acme")["tokens"]["account_id"]
        assert imported == acme.account_id


async def test_a_known_account_keeps_its_plan() -> None:
    async with open_bench() as bench:
        bench.simulator.sign_in("ann@example.com", "pro")
        await bench.allow()
        assert bench.simulator.oauth.find("ann@example.com").plan == "pro"


async def test_denying() -> None:
    async with open_bench() as bench:
        callback = await bench.decide(email="", decision="deny")
        assert callback.pop("error_description")
        assert callback == {"error": "access_denied", "state": "state-1"}


async def test_a_workspace_without_codex() -> None:
    async with open_bench(missing_codex_entitlement=True) as bench:
        callback = await bench.decide(email="ann@example.com", decision="allow")
        assert callback == {
            "error": "access_denied",
            "error_description": "missing_codex_entitlement",
            "state": "state-1",
        }


async def test_an_email_that_is_none_is_asked_for_again() -> None:
    async with open_bench() as bench:
        response = await bench.http.post(make_url(), data={"email": '"><script>', "decision": "allow"})
        assert response.status_code == 400
        assert "Enter an email address" in response.text
        assert "<script>" not in response.text


async def test_signing_in_without_a_browser() -> None:
    async with open_bench() as bench:
        url = bench.simulator.oauth.allow_url(f"{bench.base}{make_url()}", "ann@example.com")
        callback = parse_qs(urlsplit(url).query)
        assert callback["state"] == ["state-1"]
        assert (await bench.exchange(callback["code"][0])).status_code == 200
        with pytest.raises(ValueError, match="state"):
            bench.simulator.oauth.allow_url(f"{bench.base}{make_url(state='')}", "ann@example.com")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"code_verifier": "w" * 43}, "does not match the code_challenge"),
        ({"code_verifier": "short"}, "malformed"),
        ({"redirect_uri": "http://localhost:1457/auth/callback"}, "redirect_uri"),
        ({"client_id": "app_other"}, "another client"),
        ({"code": "ac_x"}, "unknown"),
    ],
)
async def test_an_exchange_that_does_not_match(changes: dict[str, str], fault: str) -> None:
    async with open_bench() as bench:
        code = await bench.allow()
        response = await bench.exchange(code, **changes)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
        assert fault in response.json()["error_description"]


async def test_a_code_that_was_presented_wrongly_is_spent() -> None:
    async with open_bench() as bench:
        code = await bench.allow()
        await bench.exchange(code, code_verifier="w" * 43)
        response = await bench.exchange(code)
        assert response.status_code == 400
        assert "already been used" in response.json()["error_description"]


async def test_a_code_serves_once_and_its_second_use_ends_the_login() -> None:
    async with open_bench() as bench:
        code = await bench.allow()
        tokens = (await bench.exchange(code)).json()
        assert (await bench.exchange(code)).json()["error"] == "invalid_grant"
        assert not bench.simulator.oauth.is_live(tokens["refresh_token"])


@pytest.mark.parametrize(("age_s", "status"), [(CODE_LIFETIME_S - 1, 200), (CODE_LIFETIME_S, 400)])
async def test_a_code_lives_ten_minutes(age_s: int, status: int) -> None:
    async with open_bench() as bench:
        code = await bench.allow()
        bench.clock.now += age_s
        assert (await bench.exchange(code)).status_code == status


async def test_an_exchange_must_be_form_encoded() -> None:
    async with open_bench() as bench:
        form = {"grant_type": "authorization_code", "code": await bench.allow(), "code_verifier": VERIFIER}
        response = await bench.http.post("/oauth/token", json=form)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_scripted_exchanges() -> None:
    async with open_bench() as bench:
        bench.simulator.load_token_replies({"error": {"status": 502, "body": "<html>"}}, {"omit": ["refresh_token"]})
        code = await bench.allow()
        assert (await bench.exchange(code)).status_code == 502
        assert "refresh_token" not in (await bench.exchange(code)).json()


async def test_a_device_signs_in() -> None:
    async with open_bench(device_interval_s=0.5) as bench:
        device = await bench.request_device()
        assert device["interval"] == "0.5"
        assert datetime.fromisoformat(device["expires_at"]).timestamp() == bench.clock.now + 900
        pending = await bench.poll(device)
        assert pending.status_code == 403
        assert pending.json()["error"]["code"] == "deviceauth_authorization_pending"
        bench.simulator.oauth.approve_device(device["user_code"], "ben@example.com", "acme")
        granted = (await bench.poll(device)).json()
        assert make_challenge(granted["code_verifier"]) == granted["code_challenge"]
        assert (await bench.poll(device)).status_code == 400
        response = await bench.exchange(
            granted["authorization_code"],
            code_verifier=granted["code_verifier"],
            redirect_uri=f"{bench.base}/deviceauth/callback",
        )
        account = bench.simulator.oauth.find("ben@example.com", "acme")
        assert (await bench.ask_backend(response.json(), account.account_id)).status_code == 200


async def test_a_devices_code_has_a_redirect_uri_of_its_own() -> None:
    async with open_bench() as bench:
        device = await bench.request_device()
        bench.simulator.oauth.approve_device(device["user_code"], "ben@example.com")
        granted = (await bench.poll(device)).json()
        response = await bench.exchange(granted["authorization_code"], code_verifier=granted["code_verifier"])
        assert response.status_code == 400
        assert "redirect_uri" in response.json()["error_description"]


async def test_the_device_page() -> None:
    async with open_bench() as bench:
        device = await bench.request_device()
        page = await bench.http.get("/codex/device")
        assert 'name="user_code"' in page.text
        wrong = await bench.http.post("/codex/device", data={"user_code": "XXXX-00000"})
        assert wrong.status_code == 400
        assert "No program is waiting with this code" in wrong.text
        typed = f" {device['user_code'].lower()} "
        right = await bench.http.post("/codex/device", data={"user_code": typed, "email": "ben@example.com"})
        assert right.status_code == 200
        assert "signed in" in right.text
        assert (await bench.poll(device)).status_code == 200
        assert (await bench.http.post("/codex/device", data={"user_code": typed})).status_code == 400


async def test_a_device_is_approved_by_a_bare_code() -> None:
    async with open_bench() as bench:
        device = await bench.request_device()
        await bench.http.post("/codex/device", data={"user_code": device["user_code"]})
        assert bench.simulator.oauth.find("simulated@example.com").plan == "plus"
        assert (await bench.poll(device)).status_code == 200


def deny(bench: Bench, device: dict[str, str]) -> None:
    bench.simulator.oauth.devices.deny(device["user_code"])


def let_expire(bench: Bench, device: dict[str, str]) -> None:
    bench.clock.now += 900


@pytest.mark.parametrize(("act", "code"), [(deny, "access_denied"), (let_expire, "deviceauth_authorization_expired")])
async def test_a_device_that_gets_nothing(act: Callable[[Bench, dict[str, str]], None], code: str) -> None:
    async with open_bench() as bench:
        device = await bench.request_device()
        act(bench, device)
        response = await bench.poll(device)
        assert (response.status_code, response.json()["error"]["code"]) == (400, code)
        with pytest.raises(ValueError, match="No device waits"):
            bench.simulator.oauth.approve_device(device["user_code"], "ben@example.com")


async def test_denying_on_the_device_page() -> None:
    async with open_bench() as bench:
        device = await bench.request_device()
        form = {"user_code": device["user_code"], "email": "", "decision": "deny"}
        assert "denied" in (await bench.http.post("/codex/device", data=form)).text
        assert (await bench.poll(device)).json()["error"]["code"] == "access_denied"


async def test_device_options() -> None:
    async with open_bench(device_login=False) as bench:
        assert (await bench.http.post(USERCODE, json={"client_id": CLIENT_ID})).status_code == 404
    async with open_bench(device_pending_status=404) as bench:
        assert (await bench.http.post(USERCODE, json={"client_id": "app_other"})).status_code == 401
        device = await bench.request_device()
        assert (await bench.poll(device)).status_code == 404
        assert (await bench.poll(device, user_code="XXXX-00000")).status_code == 400


async def test_a_revocation_that_fails_revokes_nothing() -> None:
    async with open_bench(revoke_status=503) as bench:
        token = bench.simulator.sign_in()["tokens"]["refresh_token"]
        form = {"token": token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        assert (await bench.http.post("/oauth/revoke", json=form)).status_code == 503
        assert bench.simulator.oauth.is_live(token)
        assert bench.simulator.requests[-1].body == {**form, "token": "<redacted>"}


async def test_wrong_methods() -> None:
    async with open_bench() as bench:
        for path in ("/oauth/token", "/oauth/revoke", USERCODE, POLL):
            assert (await bench.http.get(path)).status_code == 405


async def test_no_record_holds_a_secret() -> None:
    async with open_bench() as bench:
        code = await bench.allow()
        tokens = (await bench.exchange(code)).json()
        device = await bench.request_device()
        bench.simulator.oauth.approve_device(device["user_code"], "ben@example.com")
        granted = (await bench.poll(device)).json()
        await bench.exchange(granted["authorization_code"], code_verifier=granted["code_verifier"])
        await bench.http.get(f"/nowhere?x=%20&code={code}&%63ode={code}&token=&refresh_token={tokens['refresh_token']}")
        every = bench.simulator.oauth.all_tokens()
        for secret in (
            code,
            granted["authorization_code"],
            granted["code_verifier"],
            device["device_auth_id"],
            *(tokens[name] for name in ("id_token", "access_token", "refresh_token")),
        ):
            assert secret in every
        records = repr(bench.simulator.requests)
        assert not [secret for secret in (*every, VERIFIER, device["user_code"]) if secret in records]
        assert bench.simulator.requests[-1].query == (
            "x=%20&code=<redacted>&%63ode=<redacted>&token=&refresh_token=<redacted>"
        )
