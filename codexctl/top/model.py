"""What ``codexctl top`` knows: what the daemon has reported, and what the user is looking at. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from codexctl.render.format import Json

KEPT_REQUESTS = 500
KEPT_ENTRIES = 100
NOTICE_S = 10.0
"""How long a notice is shown."""
RECENT_S = 3600.0
"""How long warnings and errors are shown."""
RATE_WINDOW_S = 5.0
"""Tokens per second are averaged over this time."""

SILENT_S = 5.0
"""A running answer that has had no new text for this long is called silent."""


class Shown(Enum):
    """Which requests are listed."""

    ALL = "all"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True)
class Table:
    """The list of requests. Every other pane goes back to it."""


@dataclass(frozen=True)
class Filtering:
    """The user is typing a filter; ``before`` is the filter until then."""

    before: str


@dataclass(frozen=True)
class Cancelling:
    """The user is asked whether to cancel this request."""

    request: str


@dataclass(frozen=True)
class Switching:
    """The menu of accounts. ``cost`` is what a switch to ``account`` would cost, once known."""

    account: str
    cost: Json | None = None


@dataclass(frozen=True)
class Why:
    """What happened to a request, from line ``top`` on; ``problem`` says why it can't be explained."""

    request: str
    explanation: Json | None = None
    problem: str = ""
    top: int = 0


@dataclass(frozen=True)
class Help:
    pass


Pane: TypeAlias = Table | Filtering | Cancelling | Switching | Why | Help


@dataclass
class Request:
    """A request as the daemon last reported it. Times are seconds since the epoch.

    ``samples`` holds (time, output tokens) pairs; the last one is when the answer last grew.
    """

    info: Json
    samples: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def is_running(self) -> bool:
        return bool(self.info["state"] == "running")

    @property
    def is_failed(self) -> bool:
        return bool(self.info["state"] == "failed")

    @property
    def output_tokens(self) -> int | None:
        tokens = self.info["tokens"]
        return None if tokens is None else int(tokens["output"])

    def take(self, info: Json, now: float) -> None:
        self.info = info
        output = self.output_tokens or 0
        if self.samples and output < self.samples[-1][1]:
            self.samples.clear()  # a retry starts from zero
        if not self.samples or output > self.samples[-1][1]:
            self.samples.append((now, output))
        while len(self.samples) > 2 and self.samples[1][0] < now - RATE_WINDOW_S:
            self.samples.popleft()

    def elapsed_s(self, now: float) -> float:
        if self.info["duration_ms"] is not None:
            return float(self.info["duration_ms"]) / 1000
        return max(0.0, now - float(self.info["started_at"]))

    def silent_s(self, now: float) -> float:
        """How long an answer that has begun has had no new text."""
        if self.info["ttft_ms"] is None or not self.samples:
            return 0.0
        return max(0.0, now - self.samples[-1][0])

    def tokens_per_s(self, now: float) -> float | None:
        """While it runs, the current rate; after its end, the average. None if there was no output."""
        output = self.output_tokens
        if not output:
            return None
        if not self.is_running:
            return output / max(self.elapsed_s(now), 0.001)
        if self.silent_s(now) >= SILENT_S:
            return 0.0
        (since, before), (until, after) = self.samples[0], self.samples[-1]
        if since == until:  # seen only once: count from the first token
            first_token_ms = self.info["ttft_ms"] or 0
            since, before = min(self.info["started_at"] + first_token_ms / 1000, until - 1.0), 0
        return (after - before) / (until - since)

    def matches(self, text: str) -> bool:
        known = (self.info.get(name) for name in ("id", "client", "model", "model_used", "account", "state", "error"))
        words = [str(value).casefold() for value in known if value]
        words.append(str(self.info["status"] or ""))
        return all(any(part in word for word in words) for part in text.casefold().split())


@dataclass
class Model:
    """The state of the screen. ``gone`` says why there has been no daemon since ``gone_at``."""

    status: Json | None = None
    accounts: list[Json] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    entries: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_ENTRIES))
    gone: str = ""
    gone_at: float = 0.0
    pane: Pane = field(default_factory=Table)
    selected: str | None = None
    filter: str = ""
    shown: Shown = Shown.ALL
    notice: str = ""
    noticed: tuple[str, float] = ("", 0.0)
    """The last notice, and since when it has been shown."""

    # -- what the daemon reports

    def begin(self) -> None:
        """A new connection: an earlier one may have been to another daemon, so forget what it reported."""
        if self.gone:
            self.notice = "codexd is back."
        self.gone = ""
        self.requests.clear()
        self.entries.clear()

    def age(self, now: float) -> None:
        """Take back a notice that was there for long enough."""
        if self.notice != self.noticed[0]:
            self.noticed = self.notice, now
        elif self.notice and now - self.noticed[1] >= NOTICE_S:
            self.notice = ""

    def recent_entries(self, now: float) -> list[Json]:
        """The last warnings and errors."""
        return [entry for entry in self.entries if entry["at"] > now - RECENT_S]

    def lose(self, why: str, now: float) -> None:
        if not self.gone:
            self.gone_at = now
        self.gone = why

    def take_request_event(self, event: Json, now: float) -> None:
        info = event.get("request")
        if info is None:
            return  # it says how many events were missed
        if info["id"] not in self.requests:
            self.requests[info["id"]] = Request(info)
            self._forget_oldest()
        self.requests[info["id"]].take(info, now)

    def _forget_oldest(self) -> None:
        ended = (each.id for each in self.requests.values() if not each.is_running)
        if len(self.requests) > KEPT_REQUESTS and (oldest := next(ended, None)):
            del self.requests[oldest]

    def take_log_event(self, event: Json) -> None:
        if "entry" in event:
            self.entries.append(event["entry"])

    def take_reply(self, method: str, params: Json, result: Any) -> None:
        """The result of a call that the user asked for."""
        match method, self.pane:
            case "requests.explain", Why(request, _, _, top) if request == params["id"]:
                self.pane = Why(request, result, "", top)
            case "accounts.switch", Switching(account) if params.get("dry_run") and account == params["account"]:
                self.pane = Switching(account, result["cost"])
            case "accounts.switch", _ if not params.get("dry_run"):
                self.notice = f"{result['account']['label']} is now the active account."
            case "requests.cancel", _:
                self.notice = f"{params['id']} was cancelled."

    def take_refusal(self, method: str, params: Json, why: str) -> None:
        match method, self.pane:
            case "requests.explain", Why(request, explanation) if request == params["id"]:
                self.pane = Why(request, explanation, why)
            case _:
                self.notice = why

    # -- what the user is looking at

    def listed(self) -> list[Request]:
        """The requests that are shown: running ones first, then ended ones, each newest first."""
        chosen = [each for each in self.requests.values() if self._is_shown(each)]
        return sorted(chosen, key=lambda each: (each.is_running, each.info["started_at"]), reverse=True)

    def _is_shown(self, request: Request) -> bool:
        match self.shown:
            case Shown.RUNNING if not request.is_running:
                return False
            case Shown.FAILED if not request.is_failed:
                return False
        return request.matches(self.filter)

    def chosen(self) -> Request | None:
        """The request that keys act on: the first one until the user chooses another."""
        listed = self.listed()
        return next((each for each in listed if each.id == self.selected), listed[0] if listed else None)

    @property
    def unfinished_why(self) -> str | None:
        """The id of the request being explained if it is still running, so that its explanation will grow."""
        match self.pane:
            case Why(request, explanation) if explanation and explanation["request"]["state"] == "running":
                return request
        return None

    @property
    def running(self) -> list[Request]:
        return [each for each in self.requests.values() if each.is_running]

    def account(self, id_: str) -> Json | None:
        return next((each for each in self.accounts if each["id"] == id_), None)


def account_names(accounts: Iterable[Json]) -> dict[str, str]:
    """Account id -> label."""
    return {each["id"]: each["label"] for each in accounts}
