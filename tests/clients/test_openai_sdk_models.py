"""The models as the official OpenAI SDK asks for them."""

from __future__ import annotations

from functools import partial

import openai
import pytest
import trio
from support.harness import start_daemon


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


@pytest.fixture
def sdk(running):
    with openai.OpenAI(base_url=f"{running.address}/v1", api_key="local", max_retries=0) as client:
        yield client


async def in_thread(call, *args, **kwargs):
    return await trio.to_thread.run_sync(partial(call, *args, **kwargs))


async def test_list(sdk):
    models = await in_thread(lambda: list(sdk.models.list()))
    names = [model.id for model in models]
    assert "gpt-5.5" in names
    assert len(names) == len(set(names))
    assert not any(name.startswith("claude") or name == "codex-auto-review" for name in names)
    assert {(model.object, model.owned_by, model.created) for model in models} == {("model", "openai", 0)}


@pytest.mark.parametrize("name", ["gpt-5.5", "codex-auto-review", "opus", "claude-gpt-5.5", "codex"])
async def test_retrieve(sdk, name):
    assert (await in_thread(sdk.models.retrieve, name)).id == name


async def test_a_model_that_is_not_there(sdk):
    with pytest.raises(openai.NotFoundError) as caught:
        await in_thread(sdk.models.retrieve, "gpt-1")
    assert caught.value.code == "model_not_found"
    assert caught.value.request_id.startswith("req_")
    assert "GET /v1/models" in caught.value.message
