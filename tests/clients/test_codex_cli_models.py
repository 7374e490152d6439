"""The list of models as the real Codex CLI asks codexd for it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import trio
from clients.codex_cli import find_codex
from support.harness import start_daemon

from codexd.simulator.options import Options
from codexd.translation.models.catalogue import BUILT_IN

pytestmark = pytest.mark.client

CONFIG = """
model_provider = "codexd"

[model_providers.codexd]
name = "codexd"
base_url = "{address}/v1"
wire_api = "responses"
requires_openai_auth = true
supports_websockets = false
"""


async def list_models(running, home):
    """What ``codex debug models`` prints: the slugs."""
    home.mkdir()
    (home / "config.toml").write_text(CONFIG.format(address=running.address))
    (home / "auth.json").write_text(json.dumps(running.simulator.sign_in()))
    with trio.fail_after(60):
        done = await trio.run_process(
            [find_codex(), "debug", "models"],
            env=os.environ | {"CODEX_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
        )
    return [model["slug"] for model in json.loads(done.stdout)["models"]]


async def test_it_takes_the_accounts_own_list(nursery, tmp_path):
    options = Options(plan_models={"plus": frozenset({"gpt-6-sol", "gpt-5.5"})})
    running = await start_daemon(nursery, tmp_path / "daemon", options=options)
    await running.call("accounts.models", refresh=True)
    assert await list_models(running, tmp_path / "codex") == ["gpt-6-sol", "gpt-5.5"]


async def test_it_goes_on_with_its_own_list_where_none_is_known(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path / "daemon", options=Options(models_status=503))
    assert set(await list_models(running, tmp_path / "codex")) == {model.slug for model in BUILT_IN.models}
