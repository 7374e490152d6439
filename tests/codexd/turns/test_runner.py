"""Attempt after attempt, with a provider in memory that does what a script says."""

import base64
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from support import upstream_events as events
from support.bodies import HI, make
from support.media import make_image

from codexd import errors, jsontext
from codexd.accounts.model import Account
from codexd.record.requests import RequestLog
from codexd.record.snapshot import StepName
from codexd.settings.schema import Settings, TranslationSettings
from codexd.translation.client_api import Target
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN
from codexd.turns.retry import BLOCKED_PAUSE_S, RetryContext, Streaks
from codexd.turns.runner import TurnRunner
from codexd.turns.turn import Attempt, Turn
from codexd.upstream.codex import ResponsesReader
from codexd.upstream.event_source import EventSource
from codexd.upstream.http import AnswerTimeouts

ANN = Account("ann", "w1", "user-ann", "ann@example.com", "plus", 0.0)
BOB = Account("bob", "w2", "user-bob", "bob@example.com", "plus", 0.0)
HELLO = [events.added(0, type="message"), events.text("Hello")]
END = {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}
AFTER_A_TOOL = [
    *HI,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "Bash", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "done"}]},
]
EMPTY = [{"type": "response.completed", "response": {}}]


@attrs.define
class ScriptedProvider:
    """Answers each attempt with the next of ``answers``: events, or an error that it raises.

    An error of an account is raised where its token is fetched. ``only`` is the model name that it serves.
    """

    answers: list
    only: str | None = None
    rotates: bool = False
    available_in_s: float = 600.0
    retries: bool = True
    accounts: list = attrs.field(factory=lambda: [ANN, BOB])
    attempts: list = attrs.field(factory=list)
    noted: list = attrs.field(factory=list)

    def serves(self, asked):
        return self.only in (None, asked)

    def target_for(self, asked):
        return Target(BUILT_IN.describe("gpt-5.5"))

    async def choose(self, turn):
        left = [account for account in self.accounts if account.id not in turn.history.failed]
        if not left:
            raise errors.AllAccountsLimited("none is open")
        target = attrs.evolve(self.target_for(turn.request.model), keep_reasoning=turn.keeps_reasoning)
        return Attempt(target, left[0])

    async def authorize(self, turn, attempt):
        if isinstance(self.answers[0], errors.AccountError):
            raise self.answers.pop(0)
        return attrs.evolve(attempt, token=f"token {len(self.attempts)}")

    def adapt(self, body, attempt, losses):
        return {**body, "adapted": True}

    @asynccontextmanager
    async def send(self, turn, attempt, body, adapted):
        assert adapted["adapted"]
        assert "adapted" not in body
        self.attempts.append(attempt)
        answer = self.answers.pop(0)
        if isinstance(answer, errors.CodexdError):
            raise answer

        async def arrive():
            for event in answer:
                yield b"data: %b\n\n" % jsontext.dumps(event)

        yield EventSource(arrive(), AnswerTimeouts(30.0), ResponsesReader(), name="the provider")

    def note_events(self, attempt, made, now):
        self.noted += [event["type"] for event in made]

    def note_answer(self, turn, attempt, body):
        self.noted.append("answer")

    def note_failure(self, turn, attempt, error):
        self.noted.append(error.kind)
        return error

    def retry_context(self, turn, attempt):
        if not self.retries:
            return None
        return RetryContext(turn.has_begun, turn.tried_on(attempt.account_id), self.available_in_s, self.rotates)


class Sink:
    is_full = False

    def __init__(self):
        self.events = []

    def emit(self, made):
        self.events += made

    async def wait_for_room(self):
        raise AssertionError("it is never full")


@attrs.define
class Ran:
    turn: Turn
    record: object
    raised: type | None = None

    @property
    def steps(self):
        return self.record.snapshot().steps

    @property
    def text(self):
        return "".join(event.get("delta", {}).get("text", "") for event in self.turn.sink.events)


async def run(*providers, settings=None, raises=None, silences=None, asked=HI, **fields):
    requests = RequestLog(lambda: 0.0)
    runner = TurnRunner(lambda: settings or Settings(), providers, requests, lambda: 0.0, silences or Streaks(900.0))
    with requests.record("req_1", "POST", "/v1/messages", "some") as record:
        turn = Turn(parse(jsontext.dumps(make(**{"messages": asked, **fields})), {}), "req_1", record, Sink())
        if raises is None:
            await runner.run(turn)
        else:
            with pytest.raises(raises) as caught:
                await runner.run(turn)
            record.note_failure(caught.value)
            return Ran(turn, record, type(caught.value))
    return Ran(turn, record)


async def test_one_attempt_is_enough():
    provider = ScriptedProvider([[*HELLO, END]])
    ran = await run(provider, stream=True)
    assert ran.text == "Hello"
    assert provider.noted == [
        "response.output_item.added",
        "response.output_text.delta",
        "response.completed",
        "answer",
    ]
    info = ran.record.info
    assert (info.tokens.output, info.stop_reason, info.retries) == (2, "end_turn", 0)
    assert info.session == ran.turn.session[:8]


async def test_the_first_provider_that_serves_the_name_gets_the_request():
    third, plan = ScriptedProvider([[*HELLO, END]], only="kilo"), ScriptedProvider([[*HELLO, END]])
    await run(third, plan, model="kilo")
    await run(third, plan, model="claude-opus-5-5")
    assert [len(third.attempts), len(plan.attempts)] == [1, 1]


async def test_a_rejected_token_is_remembered_as_the_one_that_was_sent():
    provider = ScriptedProvider([errors.TokenRejected("expired"), [*HELLO, END]])
    ran = await run(provider)
    assert ran.turn.rejected == {"ann": "token 0"}
    assert [attempt.token for attempt in provider.attempts] == ["token 0", "token 1"]
    assert [step.note for step in ran.steps if step.name is StepName.RETRY] == ["at once after this error: expired"]


async def test_refused_reasoning_is_left_out():
    provider = ScriptedProvider([errors.StaleReasoning("stale"), [*HELLO, END]])
    await run(provider)
    assert [attempt.target.keep_reasoning for attempt in provider.attempts] == [True, False]


async def test_a_short_limit_is_waited_for(autojump_clock):
    provider = ScriptedProvider([errors.RateLimited("slow down"), [*HELLO, END]], available_in_s=3.0)
    ran = await run(provider)
    names = [step.name for step in ran.steps]
    assert names.index(StepName.WAITED) < names.index(StepName.RETRY)
    assert ran.turn.history.waited == {"ann"}


async def test_with_several_accounts_the_next_one_is_asked():
    used_up = errors.UsageLimitReached("used up")
    provider = ScriptedProvider([used_up, [*HELLO, END]], rotates=True)
    ran = await run(provider)
    assert [attempt.account for attempt in provider.attempts] == [ANN, BOB]
    assert ran.turn.history.failed == {"ann": used_up}


async def test_an_account_without_a_token_is_passed_over():
    provider = ScriptedProvider([errors.AccountNeedsLogin("sign in"), [*HELLO, END]], rotates=True)
    await run(provider)
    assert [attempt.account for attempt in provider.attempts] == [BOB]
    assert provider.noted[0] == "account_needs_login"


async def test_when_no_account_is_left_the_choice_says_why():
    provider = ScriptedProvider([errors.PlanRefused("a"), errors.PlanRefused("b")], rotates=True)
    await run(provider, raises=errors.AllAccountsLimited)


async def test_an_empty_answer_is_asked_for_once_more():
    provider = ScriptedProvider([EMPTY, [*HELLO, END]])
    assert (await run(provider)).text == "Hello"
    provider = ScriptedProvider([EMPTY, EMPTY])
    ran = await run(provider, raises=errors.EmptyAnswer)
    assert ran.record.info.error == "the provider completed an empty answer"


async def test_nothing_is_a_legal_answer_to_a_tool_result():
    provider = ScriptedProvider([EMPTY])
    await run(provider, messages=AFTER_A_TOOL)
    assert len(provider.attempts) == 1


async def test_an_empty_stream_has_gone_out_and_stays():
    provider = ScriptedProvider([EMPTY])
    await run(provider, stream=True)
    assert len(provider.attempts) == 1


async def test_nothing_is_tried_again_once_the_client_has_part_of_the_answer():
    failed = {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}
    provider = ScriptedProvider([[*HELLO, failed]], available_in_s=1.0, rotates=True)
    ran = await run(provider, stream=True, raises=errors.RateLimited)
    assert (ran.text, len(provider.attempts)) == ("Hello", 1)


async def test_a_provider_that_gets_one_attempt():
    provider = ScriptedProvider([EMPTY], retries=False)
    await run(provider, raises=errors.EmptyAnswer)
    assert provider.noted[-1] == "empty_answer"


async def test_an_overflow_says_how_large_the_request_is():
    overflow = errors.ContextOverflow("too long")
    await run(ScriptedProvider([overflow]), system="word " * 1000, raises=errors.ContextOverflow)
    assert overflow.window_tokens == BUILT_IN.describe("gpt-5.5").context_window
    assert 1000 < overflow.prompt_tokens < 1200


async def test_the_strict_setting_refuses_what_would_be_dropped():
    strict = attrs.evolve(Settings(), translation=TranslationSettings(strict=True))
    provider = ScriptedProvider([[*HELLO, END]])
    await run(provider, settings=strict, top_k=3, raises=errors.RequestInvalid)
    assert provider.attempts == []


async def test_errors_of_no_account_reach_the_client():
    for error in (errors.Overloaded("busy"), errors.UpstreamTimeout("silent"), errors.UpstreamRejected("bad")):
        provider = ScriptedProvider([error], rotates=True)
        await run(provider, raises=type(error))
        assert len(provider.attempts) == 1


async def test_the_second_silence_of_a_session_is_final():
    silences = Streaks(900.0)
    for kinds in ([errors.BackendSilent, errors.StillSilent, errors.StillSilent], [errors.BackendSilent]):
        for kind in kinds:
            silent = errors.BackendSilent("the provider has sent nothing for 90 s")
            ran = await run(ScriptedProvider([silent]), raises=errors.BackendSilent, silences=silences)
            assert ran.raised == kind
        await run(ScriptedProvider([[*HELLO, END]]), silences=silences)


async def test_a_blocked_request_is_tried_once_more_after_a_moment(autojump_clock):
    blocked = errors.UpstreamBlocked("Cloudflare", status=403)
    provider, began = ScriptedProvider([blocked, [*HELLO, END]]), trio.current_time()
    assert (await run(provider)).text == "Hello"
    assert trio.current_time() - began == BLOCKED_PAUSE_S
    provider = ScriptedProvider([blocked, blocked, [*HELLO, END]])
    await run(provider, raises=errors.UpstreamBlocked)
    assert len(provider.attempts) == 2


@pytest.mark.parametrize(("message", "is_named"), [("Bad Request", True), ("Invalid value: 'x'", False)])
async def test_a_refusal_without_a_reason_names_the_largest_image(message, is_named):
    png = base64.b64encode(make_image("PNG", (1000, 1000), compress_level=0)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}}
    error = errors.UpstreamRejected(message, status=400)
    asked = [{"role": "user", "content": [image, {"type": "text", "text": "what is it"}]}]
    await run(ScriptedProvider([error]), raises=errors.UpstreamRejected, asked=asked)
    assert ("The largest image of the request has 3.0 MB" in str(error)) == is_named
