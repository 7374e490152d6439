"""Kilo as a provider; ``tests/codexd/web/test_kilo.py`` has it over sockets."""

import attrs
import pytest
from support.bodies import HI, make
from support.control_server import make_kilo

from codexd import errors, jsontext
from codexd.record.requests import RequestLog
from codexd.settings.schema import KiloSettings, ModelSettings, Settings
from codexd.translation.messages.request import parse
from codexd.translation.reading.losses import Losses
from codexd.turns.kilo import Kilo
from codexd.turns.turn import Turn


def make_provider(**kilo):
    settings = attrs.evolve(
        Settings(),
        kilo=KiloSettings(url="https://gateway.example/api", **kilo),
        models=attrs.evolve(ModelSettings(), aliases={"free": "kilo"}),
    )
    models = make_kilo()
    return Kilo(lambda: settings, attrs.evolve(models._backend, settings=lambda: settings), models)


@pytest.fixture
def turn():
    with RequestLog(lambda: 0.0).record("req_1", "POST", "/v1/messages", "some") as record:
        yield Turn(parse(jsontext.dumps(make(HI, model="kilo")), {}), "req_1", record, None)


@pytest.mark.parametrize(
    ("asked", "serves"), [("kilo", True), ("free", True), ("kilo2", False), ("claude-opus-5-5", False), ("", False)]
)
async def test_only_its_own_name_leads_there(asked, serves):
    assert make_provider().serves(asked) is serves


async def test_nothing_is_sent_before_the_user_has_opted_in(turn):
    with pytest.raises(errors.KiloDisabled, match=r"gateway\.example.*codexctl settings set kilo\.enabled true"):
        await make_provider().choose(turn)
    assert turn.record.snapshot().third_party is None


async def test_one_model_no_account_no_token_one_attempt(turn):
    provider = make_provider(enabled=True, model="minimax/minimax-m2.5:free")
    attempt = await provider.authorize(turn, await provider.choose(turn))
    assert (attempt.model, attempt.account, attempt.token) == ("minimax/minimax-m2.5:free", None, "")
    assert attempt.target == provider.target_for("kilo")
    assert (turn.record.snapshot().third_party, turn.record.info.model_used) == (None, attempt.model)
    provider.send(turn, attempt, {}, {"model": attempt.model})
    assert turn.record.snapshot().third_party == "gateway.example"
    error = errors.RateLimited("slow")
    assert provider.note_failure(turn, attempt, error) is error
    assert provider.retry_context(turn, attempt) is None


async def test_what_goes_there_is_a_chat_request_of_its_model(turn):
    provider = make_provider(enabled=True)
    attempt = await provider.choose(turn)
    body = turn.request.to_backend(attempt.target)
    assert provider.adapt(body, attempt, Losses())["model"] == attempt.model
    with pytest.raises(errors.RequestInvalid, match="conversations only"):
        provider.adapt({**body, "input": [{"type": "compaction_trigger"}]}, attempt, Losses())
