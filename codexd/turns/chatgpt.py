"""The ChatGPT plan as a provider: one of the user's own accounts, and a model that it offers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from attrs import evolve, field, frozen

from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.choose import LIMIT_ERRORS
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.windows import Observation, parse_event, parse_headers
from codexd.accounts.login import SIGN_IN
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.store.store import AccountStore
from codexd.errors import (
    CodexdError,
    CreditsUsedUp,
    FreshTokenRefused,
    ModelRefused,
    Overloaded,
    RequestInvalid,
    TokenRejected,
    UsageLimitReached,
)
from codexd.settings.schema import BY_CATALOGUE, Settings
from codexd.translation.backend import LITE_HEADER
from codexd.translation.client_api import Body, ClientRequest, Event, Purpose, Target
from codexd.translation.models.catalogue import explain_refusal, read_version
from codexd.translation.models.routes import CLAUDE_IDS, Route, find_alias, route
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.reasoning import tag_account
from codexd.translation.wire_errors import say_duration
from codexd.turns.retry import How, RetryContext, Streaks
from codexd.turns.turn import Attempt, Turn, wait_for_limit
from codexd.upstream.codex import CodexBackend
from codexd.upstream.event_source import EventSource

OVERLOAD_LASTS_S = 3600.0
OVERLOADS_UNTIL_HINT = 10
"""Real overload ends sooner than this many requests in a row; in one report, only a new login ended it."""

MIN_TOKEN_WAIT_S = 0.001
"""If getting a token takes longer, it was refreshed, and the record notes the wait; a token in memory takes no time."""


@frozen
class ChatGptPlan:
    """``settings`` returns the current settings, ``clock`` seconds since the epoch, ``now`` the record's time."""

    settings: Callable[[], Settings]
    store: AccountStore
    picker: AccountPicker
    refresher: Refresher
    tracker: LimitTracker
    catalogues: Catalogues
    backend: CodexBackend
    clock: Callable[[], float]
    now: Callable[[], float]
    overloads: Streaks = field(factory=lambda: Streaks(OVERLOAD_LASTS_S))
    """By account, the requests in a row that the backend was too busy for."""

    def serves(self, asked: str) -> bool:  # noqa: ARG002 - an unknown name leads to ``models.default``
        return True

    def target_for(self, asked: str) -> Target:
        return self._find_target(self._find_route(asked, self.store.active), self.store.active)

    async def choose(self, turn: Turn) -> Attempt:
        targets: dict[str, Target] = {}

        def find_model(account: Account) -> str:
            target = targets[account.id] = self._find_target(self._route_turn(turn, account), account)
            return target.model.slug

        choice = await self.picker.pick(turn.session, find_model, turn.history)
        account = choice.account
        if choice.wait_s:
            await wait_for_limit(turn, account, choice.wait_s)
        attempt = Attempt(evolve(targets[account.id], keep_reasoning=turn.keeps_reasoning), account)
        if self._find_route(turn.request.model, account).is_default:
            self._note_default(turn.request, attempt.model)
        turn.record.note_account(account.id, account.label, choice.reason)
        turn.record.note_model_used(attempt.model)
        return attempt

    async def authorize(self, turn: Turn, attempt: Attempt) -> Attempt:
        asked_at = self.now()
        token = await self.refresher.fresh_token(attempt.account_id, rejected=turn.rejected.get(attempt.account_id))
        waited_s = self.now() - asked_at
        if waited_s > MIN_TOKEN_WAIT_S:
            turn.record.note_token_wait(waited_s)
        return evolve(attempt, token=token)

    def adapt(self, body: Body, attempt: Attempt, losses: Losses) -> Body:  # noqa: ARG002 - the body is already in its format
        return body

    @asynccontextmanager
    async def send(self, turn: Turn, attempt: Attempt, body: Body, adapted: Body) -> AsyncIterator[EventSource]:
        account = attempt.own_account
        self.store.touch(account.id, self.clock())
        async with self.backend.respond(
            adapted,
            account=account,
            token=attempt.token,
            headers={"session-id": body["prompt_cache_key"], **_fit_headers(turn.request.headers, attempt.target)},
            on_headers=partial(self._read_headers, turn, account),
            progress=turn.record,
        ) as source:
            self._observe(account.id, turn.observation)
            yield source

    def note_events(self, attempt: Attempt, events: Sequence[Event], now: float) -> None:
        for event in events:
            if event["type"] == "codex.rate_limits":
                self._observe(attempt.account_id, parse_event(event, now))

    def note_answer(self, turn: Turn, attempt: Attempt, body: Body) -> None:
        self.overloads.end(attempt.account_id)
        self.store.note_refusal(attempt.account_id, None)
        usage = turn.stream.usage if turn.stream else None
        if usage is not None:
            reasoning_items = sum(item.get("type") == "reasoning" for item in body["input"])
            self.picker.sessions.note_size(
                turn.session, input_tokens=usage.input_tokens, reasoning_items=reasoning_items
            )

    def note_failure(self, turn: Turn, attempt: Attempt, error: CodexdError) -> CodexdError:
        account = attempt.own_account
        if isinstance(error, UsageLimitReached) and error.resets_at is None:
            error.resets_at = self._find_reset(error, turn.observation)
        if isinstance(error, LIMIT_ERRORS):
            self.tracker.note_refusal(account.id, error, model=attempt.model, observation=turn.observation)
        if isinstance(error, ModelRefused):
            self.catalogues.note_refused(account.id, attempt.model)
            return self._explain_refusal(turn, attempt, error)
        if isinstance(error, Overloaded):
            self._count_overload(account, error)
        if isinstance(error, TokenRejected) and How.FRESH_TOKEN in turn.tried_on(account.id):
            return self._note_refused_login(account, error)
        return error

    def _count_overload(self, account: Account, error: Overloaded) -> None:
        now = self.clock()
        streak = self.overloads.add(account.id, now)
        if streak.count >= OVERLOADS_UNTIL_HINT:
            error.add_hint(
                f'The backend has answered "overloaded" to the last {streak.count} requests over '
                f"{say_duration(now - streak.since)} on this account. If other models fail too, it may be this login "
                f"and not load: {SIGN_IN[0].lower()}{SIGN_IN[1:]}"
            )

    def _note_refused_login(self, account: Account, error: TokenRejected) -> FreshTokenRefused:
        """The login works, but not the tokens that it gives: only the user can find out why."""
        reason = (
            f"The sign-in server has just renewed its access token, but the backend refused the new one ({error}). "
            f"{SIGN_IN} If that does not help, check the account at chatgpt.com."
        )
        self.store.note_refusal(account.id, reason)
        return FreshTokenRefused(f"The account {account.label} needs a new login. {reason}")

    def retry_context(self, turn: Turn, attempt: Attempt) -> RetryContext:
        account = attempt.own_account
        model = self._choose_model(self._route_turn(turn, account), account)
        return RetryContext(
            has_begun=turn.has_begun,
            tried=turn.tried_on(account.id),
            available_in_s=self.picker.available_in_s(account, attempt.model),
            rotates=self.picker.rotates,
            has_other_model=model not in self.catalogues.of(account).refused,
            account_is_gone=all(account.id != other.id for other in self.store.accounts),
        )

    # -- the model ----------------------------------------------------------------------------------

    def _find_target(self, found: Route, account: Account | None) -> Target:
        settings = self.settings()
        model = self.catalogues.of(account).describe(self._choose_model(found, account))
        return Target(
            model=model,
            account_tag=tag_account(account.chatgpt_account_id) if account else "",
            default_effort=getattr(settings.reasoning, found.family or "", None),
            default_tier=model.default_tier if settings.models.fast == BY_CATALOGUE else None,
        )

    def _route_turn(self, turn: Turn, account: Account) -> Route:
        """The small model checks actions, unless the user has chosen another: each check reads a long prompt anew."""
        found = self._find_route(turn.request.model, account)
        is_check = turn.request.purpose is Purpose.AUTO_MODE_CHECK
        if not is_check or find_alias(turn.request.model, self.settings().models.aliases):
            return found
        small = self._find_route(CLAUDE_IDS["haiku"], account)
        return small if self.catalogues.of(account).find(self._choose_model(small, account)) else found

    def _note_default(self, request: ClientRequest, used: str) -> None:
        """Record that ``models.default`` answers a request for a model that nobody knows.

        Raises:
            RequestInvalid: the setting ``translation.strict`` forbids that.
        """
        unknown = f"{request.model!r} is not the name of a model, of a family or of an alias"
        if self.settings().translation.strict:
            raise RequestInvalid(
                "model", f"{unknown}; the setting translation.strict forbids answering with another model"
            )
        request.losses.add(LossKind.APPROXIMATED, "model", f"{unknown}; {used} answered (setting models.default)")

    def _find_route(self, asked: str, account: Account | None) -> Route:
        models = self.settings().models
        return route(asked, models.families, models.aliases, self.catalogues.of(account))

    def _choose_model(self, found: Route, account: Account | None) -> str:
        """The first model of the route that is offered to the account and was not refused."""
        return self.catalogues.of(account).choose(found.candidates)

    def _explain_refusal(self, turn: Turn, attempt: Attempt, error: ModelRefused) -> ModelRefused:
        account, own_version = attempt.own_account, self.settings().upstream.client_version
        explained = explain_refusal(
            attempt.model,
            self.catalogues.of(account),
            said=str(error),
            announced=max(own_version, turn.request.headers.get("version", ""), key=read_version),
            plan=self.tracker.limits(account.id).plan or account.plan,
        )
        return ModelRefused(explained, status=error.status, code=error.code)

    # -- rate limits --------------------------------------------------------------------------------

    def _read_headers(self, turn: Turn, account: Account, headers: Mapping[str, str]) -> None:
        turn.answer_headers = headers
        self.catalogues.note_etag(account.id, headers.get("x-models-etag"))
        turn.observation = parse_headers(headers, self.clock())

    def _find_reset(self, error: UsageLimitReached, observation: Observation | None) -> float | None:
        """When the limit that the error reports ends, as far as the headers of the answer say."""
        if observation is None:
            return None
        if error.status == 200 or isinstance(error, CreditsUsedUp):
            # It came inside an answer whose headers still let the request through, or has no window of its own.
            return observation.find_reset(self.clock())
        return observation.find_plan_reset(self.clock())

    def _observe(self, account_id: str, observation: Observation | None) -> None:
        if observation is not None:
            self.tracker.observe(account_id, observation)


def _fit_headers(headers: Mapping[str, str], target: Target) -> Mapping[str, str]:
    """The client's ``headers`` for a model that the client may not have chosen."""
    if target.model.takes_lite:
        return headers
    return {name: value for name, value in headers.items() if name != LITE_HEADER}
