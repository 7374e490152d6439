"""Each account's rate limits, as the backend last told them, and until when a refused one is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import attrs
import trio
from attrs import Factory, define, frozen

from codexd.accounts.limits.cooldown import Cooldown, cooldown_of, is_quota_back
from codexd.accounts.limits.limits_file import Kept, dump_limits, open_limits
from codexd.accounts.limits.windows import Credits, Limits, Observation, Window
from codexd.errors import RateLimited, UpstreamError

log = logging.getLogger("codexd.limits")

QUEUE_LENGTH = 256
THRESHOLDS = (80, 100)
"""Percent of a window at which the log says so, once."""

SAVE_INTERVAL_S = 10.0


@frozen
class _Tracked:
    window: Window
    told: int
    """The highest threshold that the log has told of in this period of the window."""


@define
class _Known:
    """What is known of one account; cooldowns by the model that they hold for, None for all."""

    windows: dict[str, _Tracked] = Factory(dict)
    plan: str | None = None
    credits: Credits | None = None
    allowed: bool | None = None
    fetched_at: float | None = None
    cooldowns: dict[str | None, Cooldown] = Factory(dict)

    @property
    def limits(self) -> Limits:
        windows = sorted(
            (tracked.window for tracked in self.windows.values()),
            key=lambda window: (window.limit or "", window.window_s),
        )
        return Limits(tuple(windows), self.plan, self.credits, self.allowed, self.fetched_at)


class LimitTracker:
    """Takes observations from the streams without holding them up. ``clock`` gives seconds since the epoch.

    ``path`` is where it all survives a restart; None keeps it in memory only.
    """

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        self._clock = clock
        self._file = None if path is None else open_limits(path)
        self._send, self._receive = trio.open_memory_channel[tuple[str, Observation]](QUEUE_LENGTH)
        kept = (self._file.load() if self._file else None) or {}
        self._accounts = {account_id: _restore(account) for account_id, account in kept.items()}
        self._changed = trio.Event()
        self._saved = self._dump()
        self.dropped = 0
        """Observations lost because the queue was full; the next reply tells the same again."""

    def observe(self, account_id: str, observation: Observation) -> None:
        """Hand over what a reply said. Never blocks."""
        try:
            self._send.send_nowait((account_id, observation))
        except trio.WouldBlock:
            self.dropped += 1

    async def run(self) -> None:
        """Fold the observations in and save them, until cancelled. May be run again: the queue outlives it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fold_queue)
            nursery.start_soon(self._save_changes)

    def limits(self, account_id: str) -> Limits:
        """All that is known of the account; windows shortest first, those of metered limits last."""
        return self._known(account_id).limits

    def windows(self, account_id: str) -> tuple[Window, ...]:
        """The windows known and not yet reset, shortest first; those of metered limits last."""
        now = self._clock()
        return tuple(window for window in self.limits(account_id).windows if window.resets_at > now)

    def fetched_at(self, account_id: str) -> float | None:
        """When the last reply that told anything came, seconds since the epoch."""
        return self._known(account_id).fetched_at

    def cooldown(self, account_id: str, model: str | None = None) -> Cooldown | None:
        """What keeps the account from serving ``model`` now (None: from serving any), the longest of it."""
        holding = [cooldown for cooldown in self.cooldowns(account_id) if cooldown.model in (None, model)]
        return max(holding, key=lambda cooldown: cooldown.until, default=None)

    def cooldowns(self, account_id: str) -> tuple[Cooldown, ...]:
        """Every cooldown of the account that is not over, those of single models too."""
        now = self._clock()
        return tuple(cooldown for cooldown in self._known(account_id).cooldowns.values() if not cooldown.is_over(now))

    def fold(self, account_id: str, observation: Observation) -> None:
        """Take in what a reply said at once; quota in it ends the cooldowns that waited for it."""
        known = self._own(account_id)
        for model, cooldown in list(known.cooldowns.items()):
            if is_quota_back(cooldown, observation, known.credits):
                del known.cooldowns[model]
                log.info("quota is seen again", extra={"fields": {"account": account_id, "model": model}})
        self._merge(account_id, observation)

    def note_refusal(
        self, account_id: str, error: UpstreamError, *, model: str, observation: Observation | None = None
    ) -> None:
        """The backend refused a request for ``model``: begin a cooldown.

        Args:
            account_id: which account.
            error: ``UsageLimitReached`` or ``RateLimited``.
            model: the upstream model that was asked for.
            observation: what the refusal's own headers said; not to be handed to ``observe`` as well.
        """
        now = self._clock()
        if observation is not None:
            self._merge(account_id, observation)
        known = self._own(account_id)
        seen = observation or Observation(known.limits.windows, known.plan, now)
        cooldown = cooldown_of(error, model=model, observation=seen, now=now)
        earlier = known.cooldowns.get(cooldown.model)
        if isinstance(error, RateLimited) and earlier is not None and earlier.until > cooldown.until:
            return  # a short limit tells nothing of the long one
        known.cooldowns[cooldown.model] = cooldown
        fields = {"account": account_id, "model": model, "until": cooldown.until}
        log.info("%s; the account is left alone", cooldown.reason, extra={"fields": fields})

    def note_checked(self, account_id: str) -> None:
        """The account's quota is being asked for now."""
        known, now = self._known(account_id), self._clock()
        for model, cooldown in known.cooldowns.items():
            known.cooldowns[model] = attrs.evolve(cooldown, checked_at=now)

    def clear_cooldown(self, account_id: str) -> None:
        """Let the account serve again, whatever was said of it."""
        self._known(account_id).cooldowns.clear()
        self._changed.set()

    def forget(self, account_id: str) -> None:
        """The account is gone."""
        self._accounts.pop(account_id, None)
        self._changed.set()

    def save(self) -> None:
        """Write what is not yet on disk. For the end of the daemon; while it runs, ``run`` does it."""
        data = self._dump()
        if self._file is not None and data != self._saved and self._file.write(data):
            self._saved = data

    async def _fold_queue(self) -> None:
        while True:
            self.fold(*await self._receive.receive())

    async def _save_changes(self) -> None:
        """In a thread: a durable write would hold up the streams."""
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
        return dump_limits(
            {account_id: Kept(known.limits, self.cooldowns(account_id)) for account_id, known in self._accounts.items()}
        )

    def _known(self, account_id: str) -> _Known:
        """To read: an account not yet heard of gets no entry."""
        return self._accounts.get(account_id) or _Known()

    def _own(self, account_id: str) -> _Known:
        """To change."""
        self._changed.set()
        return self._accounts.setdefault(account_id, _Known())

    def _merge(self, account_id: str, observation: Observation) -> None:
        known, now = self._own(account_id), self._clock()
        known.fetched_at = observation.at
        known.plan = observation.plan or known.plan
        known.credits = observation.credits or known.credits
        if observation.allowed is not None or observation.of_limit(None):
            known.allowed = observation.allowed
        if observation.complete:
            names = {window.name for window in observation.windows}
            known.windows = {name: kept for name, kept in known.windows.items() if kept.window.limit or name in names}
        for window in observation.windows:
            told = _told_before(known.windows.get(window.name), window)
            known.windows[window.name] = _Tracked(window, max(told, _tell(account_id, window, told)))
        known.windows = {name: kept for name, kept in known.windows.items() if kept.window.resets_at > now}


def _restore(kept: Kept) -> _Known:
    """What another run of the daemon knew; its log has told of the thresholds passed."""
    limits = kept.limits
    windows = {window.name: _Tracked(window, _passed(window)) for window in limits.windows}
    cooldowns = {cooldown.model: cooldown for cooldown in kept.cooldowns}
    return _Known(windows, limits.plan, limits.credits, limits.allowed, limits.fetched_at, cooldowns)


def _told_before(known: _Tracked | None, window: Window) -> int:
    """What the log has told of this period. A reset that moves on by half a window or more begins a new one."""
    if known is None or window.resets_at - known.window.resets_at >= window.window_s / 2:
        return 0
    return known.told


def _tell(account_id: str, window: Window, told: int) -> int:
    """Log the highest threshold that the window has newly crossed; gives it, or 0."""
    crossed = _passed(window)
    if crossed <= told:
        return 0
    fields = {"account": account_id, "window": window.name, "resets_at": window.resets_at}
    words = "is used up" if crossed == 100 else f"is {window.used_percent:.0f} % used"
    log.warning("the %s window %s", window.name, words, extra={"fields": fields})
    return crossed


def _passed(window: Window) -> int:
    """The highest threshold that the window has passed, or 0."""
    return max((step for step in THRESHOLDS if step <= window.used_percent), default=0)
