"""No token in any log, error, listing or file but the login files: everything is done once, and then looked through."""

import json

import httpx
import pytest
from support.harness import HELLO, RefusedError, post, start_daemon

from codexd.accounts.sign_in import device_codes
from codexd.simulator.options import Options


class Witness:
    """Calls methods and keeps what they say."""

    def __init__(self, running):
        self.running = running
        self.said = []

    async def call(self, method, /, **params):
        try:
            result = await self.running.call(method, **params)
        except RefusedError as error:
            result = {"refused": str(error)}
        self.said.append(json.dumps(result))
        return result

    async def post(self, **headers):
        answer = await post(self.running, HELLO, **headers)
        self.said.append(f"{answer.headers} {answer.text}")
        return answer

    async def browse(self, url, email):
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            page = await client.post(url, data={"email": email, "decision": "allow"})
            self.said.append(page.text)


async def sign_in_every_way(witness):
    simulator = witness.running.simulator
    browser = await witness.running.call("accounts.login.start")
    await witness.browse(browser["url"], "browser@example.com")
    await witness.call("accounts.login.wait", flow=browser["flow"])
    manual = await witness.running.call("accounts.login.start", method="manual")
    callback = simulator.oauth.allow_url(manual["url"], "manual@example.com")
    await witness.call("accounts.login.complete", flow=manual["flow"], input=callback.replace("state=", "state=x"))
    await witness.call("accounts.login.complete", flow=manual["flow"], input=callback)
    again = await witness.running.call("accounts.login.start", method="manual")
    await witness.call("accounts.login.complete", flow=again["flow"], input=callback.partition("&state")[0])
    on_device = await witness.running.call("accounts.login.start", method="device")
    simulator.oauth.approve_device(on_device["user_code"], "device@example.com")
    await witness.call("accounts.login.wait", flow=on_device["flow"])


async def import_every_way(witness, folder):
    login = witness.running.simulator.sign_in("foreign@example.com")
    plain, predecessor, broken = (folder / name for name in ("auth.json", "accounts.json", "broken.json"))
    plain.write_text(json.dumps(login))
    await witness.call("accounts.import", source=str(plain), follow=True)
    await witness.call("accounts.import", source=str(plain))
    tokens = witness.running.simulator.sign_in("before@example.com")["tokens"]
    entry = {
        "email": "before@example.com",
        "accountId": tokens["account_id"],
        "accessToken": tokens["access_token"],
        "refreshToken": tokens["refresh_token"],
        "idToken": tokens["id_token"],
    }
    bad = {"email": "bad@example.com", "accessToken": tokens["access_token"]}
    predecessor.write_text(json.dumps({"accounts": [entry, bad], "activeAccount": None, "version": 1}))
    await witness.call("accounts.import", source=str(predecessor))
    broken.write_text(json.dumps(login)[:-2])
    await witness.call("accounts.import", source=str(broken))


async def break_and_use(witness):
    running = witness.running
    running.simulator.oauth.expire_access("simulated@example.com")
    await witness.post()
    running.simulator.oauth.revoke("simulated@example.com")
    await witness.post()
    await witness.call("accounts.refresh", all=True)
    running.simulator.load_token_replies({"error": {"status": 500, "body": {"error": "temporary-failure"}}})
    await witness.call("accounts.refresh", account="browser@example.com")
    for account in (await witness.call("accounts.list"))["accounts"]:
        if account["email"] == "device@example.com":
            file = running.places.state_dir / "accounts" / account["id"] / "auth.json"
            file.write_text(file.read_text()[:-3])
    await witness.call("accounts.refresh", account="device@example.com")
    await witness.call("accounts.verify", all=True)
    await witness.call("accounts.quota", all=True, refresh=True)
    await witness.call("accounts.switch", account="browser@example.com")
    await witness.call("accounts.usage")
    await witness.call("accounts.models")
    await witness.post(authorization="Bearer my-own-key")
    await witness.call("accounts.remove", account="before@example.com")
    for method in ("accounts.list", "accounts.status", "daemon.status", "requests.list", "logs.history"):
        await witness.call(method)


@pytest.fixture(autouse=True)
def _poll_soon(monkeypatch):
    monkeypatch.setattr(device_codes, "MIN_INTERVAL_S", 0.05)


async def test_secrets_stay_in_the_login_files(nursery, tmp_path, capfd):
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.mkdir()
    running = await start_daemon(nursery, home, options=Options(device_interval_s=0.05))
    witness = Witness(running)
    await sign_in_every_way(witness)
    await import_every_way(witness, outside)
    await break_and_use(witness)
    given = await running.call("accounts.token", account="browser@example.com")

    secrets = running.simulator.oauth.all_tokens()
    assert given["access_token"] in secrets
    files = [file for file in home.rglob("*") if file.is_file()]
    holders = {file for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)}
    assert holders
    assert {file.name for file in holders} == {"auth.json"}
    told = "\n".join([*witness.said, running.log_text(), *capfd.readouterr()])
    assert "the login is dead" in told  # the log is among it
    assert [secret[:12] for secret in secrets if secret in told] == []
