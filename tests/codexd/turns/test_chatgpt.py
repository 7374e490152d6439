"""The ChatGPT plan as a provider, on a real store; the web tests send its requests."""

import attrs
import pytest
import trio
from support import upstream_events as events
from support.bodies import HI, make
from support.control_server import NOW, auth_json, make_accounts

from codexd import errors, jsontext
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.limits.cooldown import DEFAULT_S
from codexd.accounts.limits.windows import Limits, parse_headers
from codexd.accounts.model import AccountState, account_state
from codexd.accounts.store.store import AccountStore
from codexd.record.requests import RequestLog
from codexd.record.timeline import StepName
from codexd.settings.schema import ModelSettings, RotationSettings, Settings
from codexd.translation.client_api import Purpose
from codexd.translation.messages.request import parse
from codexd.turns.chatgpt import OVERLOADS_UNTIL_HINT, ChatGptPlan
from codexd.turns.retry import How
from codexd.turns.turn import Turn
from codexd.upstream.codex import CodexBackend

ANN, BOB = "ann@example.com", "bob@example.com"
LISTED = {"x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300"}


class NoSink:
    is_full = False

    def emit(self, made):
        pass


@attrs.define
class Bench:
    plan: ChatGptPlan
    requests: RequestLog
    record: object
    settings: Settings = attrs.field(factory=Settings)

    def turn(self, **fields):
        return Turn(parse(jsontext.dumps(make(HI, **fields)), {}), "req_1", self.record, NoSink())

    @property
    def steps(self):
        return [(step.name, step.note) for step in self.record.snapshot().steps]


@pytest.fixture
async def bench(tmp_path):
    with AccountStore.open(tmp_path) as store:
        for email in (ANN, BOB):
            store.add(auth_json(email), now=NOW)
        accounts, requests = make_accounts(store), RequestLog(lambda: 0.0)

        def settings():
            return made.settings

        picker = AccountPicker(
            lambda: settings().rotation, store, accounts.tracker, accounts.sessions, accounts.poller, lambda: NOW
        )
        backend = CodexBackend(None, lambda: settings().upstream, lambda: NOW)
        plan = ChatGptPlan(
            settings,
            store,
            picker,
            accounts.refresher,
            accounts.tracker,
            accounts.catalogues,
            backend,
            lambda: NOW,
            requests.now,
        )
        with requests.record("req_1", "POST", "/v1/messages", "some") as record:
            made = Bench(plan, requests, record)
            yield made


async def begin(bench, **fields):
    turn = bench.turn(**fields)
    attempt = await bench.plan.choose(turn)
    return turn, await bench.plan.authorize(turn, attempt)


async def test_everything_is_chosen_at_once(bench):
    turn, attempt = await begin(bench, model="claude-opus-5-5")
    assert attempt.own_account.email == ANN
    assert attempt.model == bench.plan.target_for("claude-opus-5-5").model.slug == "gpt-5.5"
    assert attempt.target.default_effort == "high"
    assert attempt.token == auth_json(ANN)["tokens"]["access_token"]
    assert (StepName.CHOSEN, f"{ANN}: active account") in bench.steps
    assert bench.record.info.model_used == "gpt-5.5"
    assert StepName.TOKEN not in [name for name, _ in bench.steps]
    assert turn.history.failed == {}


async def test_any_name_leads_here(bench):
    assert bench.plan.serves("nope-1")
    assert bench.plan.target_for("nope-1").model.slug == "gpt-5.5"
    assert bench.plan.target_for("gpt-5.4").default_effort is None


async def test_a_refused_model_gives_way_to_the_next_of_the_list(bench):
    bench.settings = attrs.evolve(Settings(), models=attrs.evolve(ModelSettings(), opus=("gpt-a", "gpt-b")))
    turn, attempt = await begin(bench, model="claude-opus-5-5")
    first = attempt.model
    bench.plan.note_failure(turn, attempt, errors.ModelRefused("not for you", status=400))
    assert bench.plan.retry_context(turn, attempt).has_other_model
    second = (await bench.plan.choose(turn)).model
    assert (first, second) == ("gpt-a", "gpt-b")
    bench.plan.note_failure(
        turn, attrs.evolve(attempt, target=bench.plan.target_for("claude-opus-5-5")), errors.ModelRefused("nor this")
    )
    assert not bench.plan.retry_context(turn, attempt).has_other_model


@pytest.mark.parametrize(
    ("haiku", "aliases", "model"),
    [
        pytest.param(("gpt-6-luna",), {}, "gpt-6-luna", id="small-model"),
        pytest.param(("gpt-not-offered",), {}, "gpt-5.5", id="no-small-model"),
        pytest.param(("gpt-6-luna",), {"claude-sonnet-*": "gpt-6-sol"}, "gpt-6-sol", id="the-users-own-choice"),
    ],
)
async def test_the_small_model_checks_actions_for_auto_mode(bench, haiku, aliases, model):
    models = attrs.evolve(ModelSettings(), haiku=haiku, aliases=aliases, sonnet=("gpt-5.5",))
    bench.settings = attrs.evolve(Settings(), models=models)
    turn, _ = await begin(bench, model="claude-sonnet-5")
    check = attrs.evolve(turn.request, purpose=Purpose.AUTO_MODE_CHECK)
    attempt = await bench.plan.choose(Turn(check, "req_2", bench.record, NoSink()))
    assert attempt.model == model


FULL, ROOM = {**LISTED, "x-codex-primary-reset-at": str(NOW + 600)}, {"x-codex-primary-used-percent": "40"}


@pytest.mark.parametrize(
    ("headers", "said", "resets_in_s", "available_in_s"),
    [
        (FULL, {"status": 429}, 600.0, 600.0),
        (FULL, {"status": 200}, 600.0, 600.0),  # inside an answer
        (FULL, {"status": 429, "resets_at": NOW + 60}, 60.0, 60.0),
        (FULL, {"status": 429, "retry_after_s": 3.0}, 600.0, 600.0),
        (FULL | ROOM, {"status": 429}, 600.0, 600.0),
        (FULL | ROOM, {"status": 200}, None, DEFAULT_S),
        ({}, {"status": 429}, None, DEFAULT_S),
        ({}, {"status": 429, "retry_after_s": 3.0}, None, 3.0),
    ],
)
async def test_when_a_used_up_plan_is_available_again(bench, headers, said, resets_in_s, available_in_s):
    turn, attempt = await begin(bench)
    bench.plan._read_headers(turn, attempt.own_account, headers)
    error = errors.UsageLimitReached("used up", **said)
    assert bench.plan.note_failure(turn, attempt, error) is error
    assert error.resets_at == (None if resets_in_s is None else NOW + resets_in_s)
    assert bench.plan.retry_context(turn, attempt).available_in_s == pytest.approx(available_in_s)


async def test_a_window_with_room_that_was_known_before_does_not_say_when(bench):
    turn, attempt = await begin(bench)
    weekly = {"x-codex-primary-used-percent": "20", "x-codex-primary-window-minutes": "10080"}
    bench.plan.tracker.fold(attempt.account_id, parse_headers(weekly, NOW))
    bench.plan.note_failure(turn, attempt, errors.UsageLimitReached("used up", status=429))
    assert bench.plan.retry_context(turn, attempt).available_in_s == pytest.approx(DEFAULT_S)


async def test_a_token_that_is_rejected_twice_means_a_new_login(bench):
    turn, attempt = await begin(bench)
    error = errors.TokenRejected("expired", status=401)
    assert bench.plan.note_failure(turn, attempt, error) is error
    turn.retries.add((attempt.account_id, How.FRESH_TOKEN))
    again = bench.plan.note_failure(turn, attempt, error)
    assert isinstance(again, errors.AccountNeedsLogin)
    assert ANN in str(again)


async def test_a_removed_account_is_gone(bench):
    turn, attempt = await begin(bench)
    assert not bench.plan.retry_context(turn, attempt).account_is_gone
    bench.plan.store.remove(attempt.account_id)
    assert bench.plan.retry_context(turn, attempt).account_is_gone


async def test_with_rotation_the_account_that_failed_is_the_reason_for_the_next(bench):
    bench.settings = attrs.evolve(Settings(), rotation=RotationSettings(enabled=True))
    turn, attempt = await begin(bench)
    assert bench.plan.retry_context(turn, attempt).rotates
    turn.history.failed[attempt.account_id] = errors.PlanRefused("no")
    assert (await bench.plan.choose(turn)).own_account.email == BOB
    assert bench.steps[-1] == (StepName.CHOSEN, f"{BOB}: tried after {ANN}: its plan was refused")


async def test_a_limit_that_is_about_to_end_is_waited_for(bench, autojump_clock):
    account = bench.plan.store.active
    bench.plan.tracker.note_refusal(account.id, errors.RateLimited("slow", retry_after_s=3.0), model="gpt-5.5")
    turn = bench.turn()
    began = trio.current_time()
    await bench.plan.choose(turn)
    assert trio.current_time() - began == pytest.approx(3.05, abs=0.01)
    assert turn.tried_on(account.id) == {How.AFTER_WAIT}


async def test_limits_inside_a_stream_reach_the_tracker(bench):
    _, attempt = await begin(bench)
    window = {"used_percent": 40, "window_minutes": 300, "reset_at": NOW + 600}
    made = [events.text("x"), {"type": "codex.rate_limits", "rate_limits": {"primary": window}}]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.plan.tracker.run)
        bench.plan.note_events(attempt, made, NOW)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [window.used_percent for window in bench.plan.tracker.limits(attempt.account_id).windows] == [40.0]


async def test_an_answer_tells_how_large_the_session_is(bench):
    turn, attempt = await begin(bench)
    body = turn.request.to_backend(attempt.target)
    turn.stream = turn.request.open_stream(body, attempt.target, "req_1")
    end = {"type": "response.completed", "response": {"usage": {"input_tokens": 900, "output_tokens": 1}}}
    turn.stream.receive_event(end, now=NOW)
    bench.plan.note_answer(turn, attempt, body)
    cost = bench.plan.picker.sessions.cost_of_switch(bench.plan.store.find(BOB).id, NOW)
    assert (cost.sessions, cost.tokens) == (1, 900)
    assert turn.session


async def test_a_fresh_token_that_is_refused_is_a_state_of_the_account_until_it_serves(bench):
    turn, attempt = await begin(bench)
    turn.retries.add((attempt.account_id, How.FRESH_TOKEN))
    again = bench.plan.note_failure(turn, attempt, errors.TokenRejected("not today", status=401))
    assert isinstance(again, errors.FreshTokenRefused)
    assert "has just renewed its access token, but the backend refused the new one (not today)" in str(again)
    account = bench.plan.store.get(attempt.account_id)
    assert account.refusal is not None
    assert account.refusal in str(again)
    assert account_state(account, bench.plan.store.tokens(account.id), Limits(), None, NOW) is AccountState.NEEDS_LOGIN
    assert b"refusal" not in (bench.plan.store._file.path).read_bytes()
    turn, attempt = await begin(bench)  # it may be over at any time, so it is asked again
    bench.plan.note_answer(turn, attempt, turn.request.to_backend(attempt.target))
    assert bench.plan.store.get(attempt.account_id).refusal is None


async def test_overload_that_never_ends_gets_a_hint(bench):
    turn, attempt = await begin(bench)
    for count in range(1, OVERLOADS_UNTIL_HINT + 2):
        error = errors.Overloaded("The server is busy", status=503)
        bench.plan.note_failure(turn, attempt, error)
        hint = f'The backend has answered "overloaded" to the last {count} requests'
        assert (hint in str(error)) == (count >= OVERLOADS_UNTIL_HINT)
    bench.plan.note_answer(turn, attempt, turn.request.to_backend(attempt.target))
    error = errors.Overloaded("The server is busy.", status=503)
    bench.plan.note_failure(turn, attempt, error)
    assert str(error) == "The server is busy."


@pytest.mark.parametrize(("headers", "available_in_s"), [({}, 3600.0), (FULL, 600.0), (FULL | ROOM, 3600.0)])
async def test_used_up_credits_rest_for_an_hour_or_until_the_window_opens(bench, headers, available_in_s):
    turn, attempt = await begin(bench)
    bench.plan._read_headers(turn, attempt.own_account, headers)
    bench.plan.note_failure(turn, attempt, errors.CreditsUsedUp("spent", status=429))
    assert bench.plan.retry_context(turn, attempt).available_in_s == pytest.approx(available_in_s)
