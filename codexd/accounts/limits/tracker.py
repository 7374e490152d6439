"""Each account's rate limits as the backend last reported them, and how long a refused account is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import attrs
import trio
from attrs import Factory, define, frozen

from codexd import bounds, jsontext
from codexd.accounts.limits.cooldown import Cooldown, is_quota_back, make_cooldown
from codexd.accounts.limits.windows import Limits, Observation, Window
from codexd.accounts.store.cache_file import CacheFile
from codexd.api.accounts import CreditsInfo
from codexd.errors import RateLimited, UpstreamError
from codexd.strict import load_versioned, structure
from codexd.translation.wire_errors import say_until

log = logging.getLogger("codexd.limits")

THRESHOLDS = (80, 100)
"""Percentages of a window that are logged when it passes them, once each."""

SAVE_INTERVAL_S = 10.0
FILE_VERSION = 1


@frozen
class _Tracked:
    window: Window
    reported: int
    """The highest threshold that was logged in this period of the window."""


@define
class _Known:
    """What is known about one account. ``cooldowns`` are by model; None stands for all models."""

    windows: dict[str, _Tracked] = Factory(dict)
    plan: str | None = None
    credits: CreditsInfo | None = None
    allowed: bool | None = None
    fetched_at: float | None = None
    spent: str | None = None
    cooldowns: dict[str | None, Cooldown] = Factory(dict)

    @property
    def limits(self) -> Limits:
        windows = sorted(
            (tracked.window for tracked in self.windows.values()),
            key=lambda window: (window.limit or "", window.window_s),
        )
        return Limits(tuple(windows), self.plan, self.credits, self.allowed, self.fetched_at, self.spent)


class LimitTracker:
    """Takes observations from the streams without delaying them. ``clock`` returns seconds since the epoch.

    ``path`` is the file that preserves everything across restarts; None keeps it in memory only. ``name_of`` returns
    an account's name for the log.
    """

    def __init__(
        self, clock: Callable[[], float], path: Path | None = None, name_of: Callable[[str], str] = lambda name: name
    ) -> None:
        self._clock = clock
        self.name_of = name_of
        self._file = None if path is None else open_limits(path)
        self._send, self._receive = trio.open_memory_channel[tuple[str, Observation]](bounds.OBSERVATIONS)
        saved = (self._file.load() if self._file else None) or {}
        self._accounts = {account_id: _restore(limits) for account_id, limits in saved.items()}
        self._changed = trio.Event()
        self._saved = self._dump()

    @property
    def problem(self) -> str | None:
        """Why the limits can't be saved, in full sentences for the user."""
        return self._file.problem if self._file else None

    def observe(self, account_id: str, observation: Observation) -> None:
        """Queue what a reply reported. Never blocks: if the queue is full it is dropped; the next reply repeats it."""
        with suppress(trio.WouldBlock):
            self._send.send_nowait((account_id, observation))

    @property
    def waiting(self) -> int:
        """How many observations are queued."""
        return self._send.statistics().current_buffer_used

    async def run(self) -> None:
        """Process and save the observations until cancelled. It may be run again: the queue is kept."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fold_queue)
            nursery.start_soon(self._save_changes)

    def limits(self, account_id: str) -> Limits:
        """Everything known about the account; the shortest windows first, metered limits last."""
        return self._known(account_id).limits

    def windows(self, account_id: str) -> tuple[Window, ...]:
        """The windows that have not been reset yet, the shortest first, metered limits last."""
        now = self._clock()
        return tuple(window for window in self.limits(account_id).windows if window.resets_at > now)

    def fetched_at(self, account_id: str) -> float | None:
        """When the last reply that reported anything came, in seconds since the epoch."""
        return self._known(account_id).fetched_at

    def cooldown(self, account_id: str, model: str | None = None) -> Cooldown | None:
        """The longest cooldown that keeps the account from serving ``model`` now; None means every model."""
        holding = [cooldown for cooldown in self.cooldowns(account_id) if cooldown.model in (None, model)]
        return max(holding, key=lambda cooldown: cooldown.until, default=None)

    def cooldowns(self, account_id: str) -> tuple[Cooldown, ...]:
        """Every cooldown of the account that is not over, including cooldowns of single models."""
        now = self._clock()
        return tuple(cooldown for cooldown in self._known(account_id).cooldowns.values() if not cooldown.is_over(now))

    def fold(self, account_id: str, observation: Observation) -> None:
        """Process what a reply reported; quota in it ends the cooldowns that waited for quota."""
        known = self._own(account_id)
        for model, cooldown in list(known.cooldowns.items()):
            if is_quota_back(cooldown, observation, known.credits):
                del known.cooldowns[model]
                log.info(
                    "the account has quota again",
                    extra={"fields": {"account": self.name_of(account_id), "model": model}},
                )
        self._merge(account_id, observation)

    def note_refusal(
        self, account_id: str, error: UpstreamError, *, model: str, observation: Observation | None = None
    ) -> None:
        """Start a cooldown: the backend refused a request for ``model``.

        Args:
            account_id: which account.
            error: ``UsageLimitReached`` or ``RateLimited``.
            model: the requested upstream model.
            observation: what the headers of the refusal reported; don't pass it to ``observe`` as well.
        """
        now = self._clock()
        if observation is not None:
            self._merge(account_id, observation)
        known = self._own(account_id)
        seen = observation or Observation(known.limits.windows, known.plan, now)
        cooldown = make_cooldown(error, model=model, observation=seen, now=now)
        earlier = known.cooldowns.get(cooldown.model)
        if isinstance(error, RateLimited) and earlier is not None and earlier.until > cooldown.until:
            return  # a short limit says nothing about the long one
        known.cooldowns[cooldown.model] = cooldown
        fields = {"account": self.name_of(account_id), "model": model, "available": say_until(cooldown.until, now)}
        log.info("%s; the account is left alone", cooldown.reason, extra={"fields": fields})

    def note_checked(self, account_id: str) -> None:
        """Note that the account's quota is being checked now."""
        known, now = self._known(account_id), self._clock()
        for model, cooldown in known.cooldowns.items():
            known.cooldowns[model] = attrs.evolve(cooldown, checked_at=now)

    def clear_cooldown(self, account_id: str) -> None:
        """Let the account serve requests again, whatever the backend reported."""
        self._known(account_id).cooldowns.clear()
        self._changed.set()

    def forget(self, account_id: str) -> None:
        """Forget an account that was removed."""
        self._accounts.pop(account_id, None)
        self._changed.set()

    def save(self) -> None:
        """Write what is not on disk yet, when the daemon ends; until then, ``run`` does it."""
        data = self._dump()
        if self._file is not None and data != self._saved and self._file.write(data):
            self._saved = data

    async def _fold_queue(self) -> None:
        while True:
            self.fold(*await self._receive.receive())

    async def _save_changes(self) -> None:
        """Saves in a thread: a durable write would block the streams."""
        while self._file is not None:
            await self._changed.wait()
            self._changed = trio.Event()
            data = self._dump()
            if await trio.to_thread.run_sync(self._file.write, data):
                self._saved = data
            else:
                self._changed.set()
            await trio.sleep(SAVE_INTERVAL_S)

    def _dump(self) -> bytes:
        saved = {key: SavedLimits(known.limits, self.cooldowns(key)) for key, known in self._accounts.items()}
        return dump_limits(saved)

    def _known(self, account_id: str) -> _Known:
        """For reading: an unknown account gets no entry."""
        return self._accounts.get(account_id) or _Known()

    def _own(self, account_id: str) -> _Known:
        """For changing: an unknown account gets an entry."""
        self._changed.set()
        return self._accounts.setdefault(account_id, _Known())

    def _merge(self, account_id: str, observation: Observation) -> None:
        known, now = self._own(account_id), self._clock()
        known.fetched_at = observation.at
        known.plan = observation.plan or known.plan
        known.credits = observation.credits or known.credits
        if observation.tells_spent:
            known.spent = observation.spent
        if observation.allowed is not None or observation.of_limit(None):
            known.allowed = observation.allowed
        if observation.complete:
            names = {window.name for window in observation.windows}
            known.windows = {name: each for name, each in known.windows.items() if each.window.limit or name in names}
        for window in observation.windows:
            reported = _reported_before(known.windows.get(window.name), window)
            known.windows[window.name] = _Tracked(window, max(reported, self._report(account_id, window, reported)))
        known.windows = {name: each for name, each in known.windows.items() if each.window.resets_at > now}

    def _report(self, account_id: str, window: Window, reported: int) -> int:
        """Log the highest threshold that the window has newly passed, and return it, or 0."""
        passed = _passed(window)
        if passed <= reported:
            return 0
        state = "is used up" if passed == 100 else f"is {window.used_percent:.0f} % used"
        resets = say_until(window.resets_at, self._clock())
        fields = {"account": self.name_of(account_id), "window": window.name, "resets": resets}
        log.warning("the %s window %s", window.name, state, extra={"fields": fields})
        return passed


def _restore(saved: SavedLimits) -> _Known:
    """What an earlier run of the daemon knew; it has already logged the thresholds that were passed."""
    limits = saved.limits
    windows = {window.name: _Tracked(window, _passed(window)) for window in limits.windows}
    cooldowns = {cooldown.model: cooldown for cooldown in saved.cooldowns}
    return _Known(windows, limits.plan, limits.credits, limits.allowed, limits.fetched_at, limits.spent, cooldowns)


def _reported_before(known: _Tracked | None, window: Window) -> int:
    """The threshold logged in this period. A reset time that moves by half a window or more starts a new period."""
    if known is None or window.resets_at - known.window.resets_at >= window.window_s / 2:
        return 0
    return known.reported


def _passed(window: Window) -> int:
    """The highest threshold that the window has passed, or 0."""
    return max((step for step in THRESHOLDS if step <= window.used_percent), default=0)


# -- limits.json: by account id, without email addresses and tokens -----------------------------------


@frozen
class SavedLimits:
    """One account's entry in the file."""

    limits: Limits = Factory(Limits)
    cooldowns: tuple[Cooldown, ...] = ()


@frozen
class _Content:
    version: int
    accounts: Mapping[str, SavedLimits]


def open_limits(path: Path) -> CacheFile[Mapping[str, SavedLimits]]:
    return CacheFile(path, parse_limits, "limits")


def parse_limits(data: bytes) -> Mapping[str, SavedLimits]:
    """The file's content, by account id.

    Raises:
        FileUnreadable: the reason only.
    """
    return structure(load_versioned(data, FILE_VERSION), _Content).accounts


def dump_limits(accounts: Mapping[str, SavedLimits]) -> bytes:
    content = {"version": FILE_VERSION, "accounts": {key: attrs.asdict(saved) for key, saved in accounts.items()}}
    return jsontext.dumps(content) + b"\n"
