"""The real Codex CLI beside codexd: two programs, one login, and one owner of it."""

import json

import pytest
from clients.codex_cli import CodexCli, find_codex
from support.harness import HELLO, post, start_daemon

pytestmark = pytest.mark.client

EMAIL = "cli@example.com"
ROUNDS = 3


async def test_a_followed_login_is_refreshed_by_the_codex_cli_alone(nursery, tmp_path):
    program = find_codex()
    running = await start_daemon(nursery, tmp_path / "home")
    flow = await running.call("accounts.login.start", method="manual")
    codex = CodexCli(program, tmp_path / "codex", base=flow["url"].partition("/oauth/")[0])
    file = codex.set_up(json.dumps(running.simulator.sign_in(EMAIL)))
    await running.call("accounts.import", source=str(file), follow=True)
    await running.call("accounts.switch", account=EMAIL)
    assert (await post(running, HELLO)).status_code == 200

    for _ in range(ROUNDS):
        running.simulator.oauth.expire_access(EMAIL)
        stale = await post(running, HELLO)
        assert stale.status_code == 401
        assert str(file) in stale.text
        assert "`codex`" in stale.text
        before = file.read_bytes()
        assert await codex.run("go")
        assert file.read_bytes() != before
        assert (await post(running, HELLO)).status_code == 200

    refreshers = [
        request.headers["user-agent"] for request in running.simulator.requests if request.path == "/oauth/token"
    ]
    assert len(refreshers) == ROUNDS
    assert all(agent.startswith("codex_exec/") for agent in refreshers)
