"""The real Codex CLI on codexd: a turn with a shell tool, a resumed session, HTTP and not WebSocket, failures."""

from __future__ import annotations

import os
import subprocess

import pytest
import trio
from attrs import frozen
from clients.codex_cli import TIMEOUT_S, find_codex
from support.harness import start_daemon

pytestmark = pytest.mark.client

CONFIG = """
model = "{model}"
model_provider = "codexd"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.codexd]
name = "codexd"
base_url = "{address}/v1"
wire_api = "responses"
stream_max_retries = 1
request_max_retries = 1
{more}
"""


@frozen
class Codex:
    """One ``CODEX_HOME`` that has codexd as its provider."""

    program: str
    home: object

    async def run(self, *arguments, returncode=0):
        """``codex exec``: what it wrote to stdout and stderr."""
        command = [self.program, "exec", "--skip-git-repo-check", *arguments]
        with trio.fail_after(TIMEOUT_S):
            done = await trio.run_process(
                command,
                env=os.environ | {"CODEX_HOME": str(self.home)},
                cwd=self.home / "work",
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert done.returncode == returncode, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "home")


@pytest.fixture
def make_codex(running, tmp_path):
    def make(more="", model="gpt-5.5"):
        home = tmp_path / "codex"
        (home / "work").mkdir(parents=True)
        (home / "work" / "here.txt").touch()
        (home / "config.toml").write_text(CONFIG.format(address=running.address, more=more, model=model))
        return Codex(find_codex(), home)

    return make


def kinds(request):
    return [item["type"] for item in request.body["input"]]


async def test_it_compacts_by_itself_and_goes_on(running, make_codex):
    codex = make_codex()
    # It leaves the summary to the backend only where the provider has OpenAI's name.
    limit = ("-c", "model_auto_compact_token_limit=1000", "-c", 'model_providers.codexd.name="OpenAI"')
    await codex.run(*limit, "hello")
    answer, errors = await codex.run(*limit, "resume", "--last", "and now?")
    assert "ERROR" not in errors
    assert "simulated backend" in answer
    compacting = [request for request in running.asked if kinds(request)[-1] == "compaction_trigger"]
    assert compacting
    assert "compaction" in kinds(running.asked[-1])


async def test_a_shell_tool_turn_and_a_resumed_session(running, make_codex):
    codex = make_codex()
    answer, _ = await codex.run("list the files")
    assert "The tool answered" in answer
    assert kinds(running.asked[1])[-3:] == ["reasoning", "function_call", "function_call_output"]
    assert "here.txt" in running.asked[1].body["input"][-1]["output"]

    running.load({"output": [{"text": "Back again."}]})
    answer, _ = await codex.run("resume", "--last", "and now?")
    assert "Back again." in answer
    before, after = running.asked[1].body, running.asked[2].body
    assert after["input"][: len(before["input"])] == before["input"]
    assert after["prompt_cache_key"] == before["prompt_cache_key"]

    threads = {request.headers["thread-id"] for request in running.asked}
    assert threads == {before["prompt_cache_key"]}
    assert {request.headers["originator"] for request in running.asked} == {"codexd"}
    assert {request.headers["authorization"] for request in running.asked} == {"simulated@example.com"}
    assert [request["state"] for request in (await running.call("requests.list"))["requests"]] == ["done"] * 3


async def test_a_name_of_codexds_own_is_no_reroute(running, make_codex):
    """A reroute makes it warn that the account was flagged for high-risk cyber activity."""
    answer, errors = await make_codex(model="opus").run("hi")
    assert "simulated backend" in answer
    assert running.asked[0].body["model"] == "gpt-5.5"
    assert not any(word in errors for word in ("rerouted", "flagged"))


@pytest.mark.parametrize("more", ["", "supports_websockets = true"])
async def test_it_takes_http_at_once(running, make_codex, more):
    running.load({"output": [{"text": "Over HTTP."}]})
    answer, errors = await make_codex(more).run("hi")
    assert "Over HTTP." in answer
    assert "Reconnecting" not in errors
    assert len(running.asked) == 1


async def test_a_tool_turn_in_responses_lite(running, make_codex):
    """The form of most models, the Codex CLI's default among them: tools in the input, and shell calls as code."""
    answer, _ = await make_codex(model="gpt-6.1-sol").run("list the files")
    assert "here.txt" in answer
    assert [request.headers["x-openai-internal-codex-responses-lite"] for request in running.asked] == ["true"] * 2
    assert kinds(running.asked[0])[0] == "additional_tools"
    assert kinds(running.asked[1])[-3:] == ["reasoning", "custom_tool_call", "custom_tool_call_output"]


async def test_after_a_switch_of_accounts_the_session_goes_on(running, make_codex):
    codex = make_codex()
    await codex.run("list the files")
    await running.sign_in("other@example.com")
    await running.call("accounts.switch", account="other@example.com")
    answer, _ = await codex.run("resume", "--last", "list the files again")
    assert "The tool answered" in answer
    assert [request.status for request in running.asked] == [200] * 4
    assert [kinds(request).count("reasoning") for request in running.asked] == [0, 1, 0, 1]
    assert running.asked[3].headers["authorization"] == "other@example.com"


async def test_a_used_up_plan_is_told_at_once(running, make_codex):
    running.simulator.set_used("simulated@example.com", "primary", 100)
    _, errors = await make_codex().run("hi", returncode=1)
    assert "usage limit" in errors
    assert len(running.asked) == 1


async def test_a_cut_answer_is_asked_for_again(running, make_codex):
    running.load({"output": [{"text": "beg"}], "cut": "connection"}, {"output": [{"text": "All of it."}]})
    answer, _ = await make_codex().run("hi")
    assert "All of it." in answer
    assert len(running.asked) == 2


async def test_an_overflow_is_told_and_not_repeated(running, make_codex):
    running.load(
        {"output": [{"text": "beg"}], "failed": {"code": "context_length_exceeded"}, "as": "both", "after_items": 1}
    )
    _, errors = await make_codex().run("hi", returncode=1)
    assert "context window" in errors
    assert len(running.asked) == 1
