"""All three sign-ins through a whole daemon, over real sockets: control socket, callback port, sign-in server."""

import json
import re
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from support.harness import HELLO, post, start_daemon

from codexd.accounts.sign_in import device_codes
from codexd.simulator.options import Options


@asynccontextmanager
async def browser():
    """An HTTP client that goes where it is sent."""
    async with httpx.AsyncClient(trust_env=False, timeout=10, follow_redirects=True) as client:
        yield client


async def decide(url, decision="allow", **form):
    """Open the sign-in page at ``url`` and press a button there; gives the page at which the browser ends."""
    async with browser() as client:
        page = await client.get(url)
        assert page.status_code == 200
        assert 'id="allow"' in page.text
        return await client.post(url, data={"email": "bea@example.com", "decision": decision, **form})


async def callback_url(running, url):
    return running.simulator.oauth.allow_url(url, "bea@example.com")


async def ask(running, method, /, **params):
    """The whole answer of a method of the control socket."""
    async with await trio.open_unix_socket(str(running.places.socket)) as stream:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        await stream.send_all(json.dumps(request).encode() + b"\n")
        return json.loads(await stream.receive_some(1 << 16))


async def start(running, **params):
    return (await ask(running, "accounts.login.start", **params))["result"]


async def error_of(running, method, /, **params):
    return (await ask(running, method, **params))["error"]


async def emails(running):
    return [account["email"] for account in (await running.call("accounts.list"))["accounts"]]


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path, options=Options(device_interval_s=0.05))


@pytest.fixture(autouse=True)
def _poll_soon(monkeypatch):
    monkeypatch.setattr(device_codes, "MIN_INTERVAL_S", 0.05)


async def check_works(running):
    """The new login serves a request, and none of its secrets were logged."""
    assert await emails(running) == ["simulated@example.com", "bea@example.com"]
    await running.call("accounts.switch", account="bea@example.com")
    assert (await post(running, HELLO)).status_code == 200
    logged = running.log_text()
    for secret in running.simulator.oauth.all_tokens():
        assert secret not in logged


async def test_a_browser(running):
    flow = await start(running)
    page = await decide(flow["url"])
    assert page.status_code == 200
    assert re.fullmatch(r"localhost:145[57]", page.url.netloc.decode())
    assert "Signed in as bea@example.com" in page.text
    assert "Simulated:" in page.text
    signed_in = await running.call("accounts.login.wait", flow=flow["flow"])
    assert (signed_in["account"]["email"], signed_in["added"]) == ("bea@example.com", True)
    await check_works(running)


async def test_a_browser_whose_user_denies(running):
    flow = await start(running)
    page = await decide(flow["url"], "deny")
    assert page.status_code == 400
    assert "denied on the sign-in page" in page.text
    error = await error_of(running, "accounts.login.wait", flow=flow["flow"])
    assert error["data"]["kind"] == "login_failed"
    assert await emails(running) == ["simulated@example.com"]


async def test_a_paste(running):
    flow = await start(running, method="manual")
    other = await start(running, method="manual")
    url = await callback_url(running, flow["url"])
    foreign = await callback_url(running, other["url"])
    error = await error_of(running, "accounts.login.complete", flow=flow["flow"], input=foreign)
    assert error["data"]["kind"] == "login_failed"
    signed_in = await running.call("accounts.login.complete", flow=flow["flow"], input=url)
    assert (signed_in["account"]["email"], signed_in["added"]) == ("bea@example.com", True)
    assert await running.call("accounts.login.cancel") == {"cancelled": 1}
    await check_works(running)


async def test_a_device(running):
    flow = await start(running, method="device")
    async with browser() as client:
        form = {"user_code": flow["user_code"], "email": "bea@example.com", "decision": "allow"}
        assert (await client.post(flow["url"], data=form)).status_code == 200
    signed_in = await running.call("accounts.login.wait", flow=flow["flow"])
    assert (signed_in["account"]["email"], signed_in["added"]) == ("bea@example.com", True)
    await check_works(running)


async def test_two_workspaces_of_one_person_are_two_accounts(running):
    for workspace in ("personal", "team"):
        flow = await start(running)
        await decide(flow["url"], workspace=workspace)
        assert (await running.call("accounts.login.wait", flow=flow["flow"]))["added"] is True
    assert await emails(running) == ["simulated@example.com", "bea@example.com", "bea@example.com"]


async def test_a_workspace_without_codex(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(missing_codex_entitlement=True))
    flow = await start(running)
    assert "This workspace has no access to Codex" in (await decide(flow["url"])).text


async def test_device_codes_that_are_switched_off(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path, options=Options(device_login=False))
    error = await error_of(running, "accounts.login.start", method="device")
    assert "Enable device code login" in error["message"]
