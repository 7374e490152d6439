"""``accounts.models`` through a whole daemon on a simulated backend."""

import pytest
import trio
from support.harness import start_daemon


def fetches(running):
    return [request for request in running.simulator.requests if request.path.endswith("/codex/models")]


@pytest.fixture
async def running(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path)
    with trio.fail_after(20):
        while "the backend offers" not in running.log_text():
            await trio.sleep(0.01)
    return running


async def test_what_the_backend_offers_an_account(running):
    told = await running.call("accounts.models")
    assert (told["source"], told["error"]) == ("backend", None)
    assert told["fetched_at"] is not None
    models = {model["id"]: model for model in told["models"]}
    assert models["gpt-5.5"]["context_window"] == 272_000
    assert models["gpt-5.5"]["default_effort"] in models["gpt-5.5"]["efforts"]
    assert {"models.opus", "models.sonnet"} <= set(models["gpt-5.5"]["used_by"])
    assert models["gpt-6-luna"]["used_by"] == ["models.haiku"]
    assert not models["codex-auto-review"]["listed"]
    assert len(fetches(running)) == 1
    await running.call("accounts.models", refresh=True)
    assert len(fetches(running)) == 2


async def test_a_setting_that_names_what_is_not_offered(running):
    await running.call("settings.set", name="models.haiku", value=["gpt-nowhere"])
    models = {model["id"]: model for model in (await running.call("accounts.models"))["models"]}
    assert (models["gpt-nowhere"]["offered"], models["gpt-nowhere"]["used_by"]) == (False, ["models.haiku"])


async def test_a_setting_that_names_only_what_is_not_offered_is_taken_with_a_warning(running):
    (warning,) = (await running.call("settings.set", name="models.haiku", value="gpt-5.4-mini"))["warnings"]
    assert "is not offered gpt-5.4-mini. `codexctl models` lists" in warning
    offered = await running.call("settings.set", name="models.haiku", value="gpt-5.4-mini,gpt-5.5")
    assert offered["warnings"] == []
