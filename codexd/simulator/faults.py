"""What goes wrong on purpose: the SPEC of ``codexd --simulate --faults SPEC``, and when each fault strikes. Pure.

A SPEC is a list of ``KIND[:VALUE]=RATE``, separated by commas, such as ``reset:body=0.05,status:503=1/50x10,seed=7``.

- ``KIND`` is one of ``Kind``; ``VALUE`` is a number that some kinds take (seconds, or an HTTP status).
- ``RATE`` is a probability from 0 to 1, or ``1/N`` for exactly every Nth request. ``xM`` makes it a burst: the M
  requests from there on fail in the same way.
- ``seed=N`` makes the choices repeatable.
- The name of one of ``PLANS`` stands for its list, and may be followed by changes: ``flaky,dripped=0``.

A prompt with ``[fault KIND]`` in its last user message fails in this way, whatever the rates say: ``asked`` is the plan
in which nothing else fails. ``[fault KIND once]`` fails the first time only, so that a retry succeeds. A fault of
connections or tokens can't be asked for.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from enum import Enum

from attrs import frozen


class Stage(Enum):
    """Where in the life of a connection a kind strikes."""

    CONNECTION = "connection"
    """Each new connection, to the sign-in server as well."""
    REQUEST = "request"
    """Each request to the backend, or to Kilo."""
    STREAM = "stream"
    """Each request that a stream of events answers."""
    TOKEN = "token"  # noqa: S105 - a name
    """Each request for tokens."""


class Kind(Enum):
    """The kinds of fault. The value is the name in a SPEC."""

    REFUSED = "refused"
    RESET_CONNECT = "reset:connect"
    RESET_HEAD = "reset:head"
    RESET_BODY = "reset:body"
    STALLED_HEAD = "stalled:head"
    STALLED_BODY = "stalled:body"
    DRIPPED = "dripped"
    TRUNCATED_EVENT = "truncated:event"
    TRUNCATED_CHUNK = "truncated:chunk"
    TRUNCATED_END = "truncated:end"
    GZIP = "gzip"
    TYPE_HTML = "type:html"
    TYPE_JSON = "type:json"
    TYPE_FIELDS = "type:fields"
    STATUS = "status"
    RETRY_AFTER = "retry-after"
    LIMIT = "limit"
    EVENT_FAILED = "event:failed"
    EVENT_UNKNOWN = "event:unknown"
    EVENT_MALFORMED = "event:malformed"
    EVENT_SWAPPED = "event:swapped"
    EVENT_LOST = "event:lost"
    EVENT_TWICE = "event:twice"
    EVENT_UNFINISHED = "event:unfinished"
    EVENT_COMMENTS = "event:comments"
    STRAY_ANSWER = "stray:answer"
    STRAY_BYTES = "stray:bytes"
    STRAY_LENGTH = "stray:length"
    TOKEN_REJECTED = "token:rejected"  # noqa: S105 - a name, as are the next
    TOKEN_SHORT = "token:short"  # noqa: S105
    TOKEN_REUSED = "token:reused"  # noqa: S105
    TOKEN_LOST = "token:lost"  # noqa: S105
    TOKEN_DOWN = "token:down"  # noqa: S105


@frozen
class About:
    """What a kind is. ``value`` is what it gets without a ``VALUE``; None: it takes none."""

    stage: Stage
    meaning: str
    value: int | None = None


KINDS: Mapping[Kind, About] = {
    Kind.REFUSED: About(Stage.CONNECTION, "no connection is accepted for VALUE ms", 200),
    Kind.RESET_CONNECT: About(Stage.CONNECTION, "the connection is reset as soon as it is accepted"),
    Kind.RESET_HEAD: About(Stage.REQUEST, "the connection is reset before or within the head of the answer"),
    Kind.RESET_BODY: About(Stage.REQUEST, "the connection is reset within the body"),
    Kind.STALLED_HEAD: About(Stage.REQUEST, "nothing more comes before or within the head"),
    Kind.STALLED_BODY: About(Stage.REQUEST, "nothing more comes within the body"),
    Kind.DRIPPED: About(Stage.REQUEST, "the answer comes a few bytes at a time"),
    Kind.TRUNCATED_EVENT: About(Stage.STREAM, "the body ends properly, in the middle of an event"),
    Kind.TRUNCATED_CHUNK: About(Stage.REQUEST, "the connection is closed in the middle of the body"),
    Kind.TRUNCATED_END: About(Stage.STREAM, "the whole body comes, but not its last chunk"),
    Kind.GZIP: About(Stage.REQUEST, "the answer claims to be gzip, and is not"),
    Kind.TYPE_HTML: About(Stage.REQUEST, "a 200 with a web page"),
    Kind.TYPE_JSON: About(Stage.REQUEST, "a 200 with another JSON document"),
    Kind.TYPE_FIELDS: About(Stage.STREAM, "an event has fields of wrong JSON types"),
    Kind.STATUS: About(Stage.REQUEST, "an answer with the HTTP status VALUE", 503),
    Kind.RETRY_AFTER: About(Stage.REQUEST, "a 429 that asks to wait VALUE seconds", 1),
    Kind.LIMIT: About(Stage.REQUEST, "the plan's limit is used up for VALUE seconds", 2),
    Kind.EVENT_FAILED: About(Stage.STREAM, "the stream ends with response.failed: overloaded"),
    Kind.EVENT_UNKNOWN: About(Stage.STREAM, "an event that nobody knows yet"),
    Kind.EVENT_MALFORMED: About(Stage.STREAM, "an event whose JSON is cut"),
    Kind.EVENT_SWAPPED: About(Stage.STREAM, "two deltas in the wrong order"),
    Kind.EVENT_LOST: About(Stage.STREAM, "a delta is missing"),
    Kind.EVENT_TWICE: About(Stage.STREAM, "a delta comes twice"),
    Kind.EVENT_UNFINISHED: About(Stage.STREAM, "the body ends properly, without the last event"),
    Kind.EVENT_COMMENTS: About(Stage.STREAM, "from some point on only comments come, for ever"),
    Kind.STRAY_ANSWER: About(Stage.REQUEST, "a second answer follows that nobody asked for"),
    Kind.STRAY_BYTES: About(Stage.REQUEST, "bytes follow that are not HTTP"),
    Kind.STRAY_LENGTH: About(Stage.REQUEST, "the content-length is too short"),
    Kind.TOKEN_REJECTED: About(Stage.REQUEST, "the backend says that the access token has expired"),
    Kind.TOKEN_SHORT: About(Stage.TOKEN, "the new access token expires after VALUE seconds", 5),
    Kind.TOKEN_REUSED: About(Stage.TOKEN, "the refresh token counts as used, and the login is lost"),
    Kind.TOKEN_LOST: About(Stage.TOKEN, "the tokens are renewed, but the answer is lost"),
    Kind.TOKEN_DOWN: About(Stage.TOKEN, "the sign-in server answers with the HTTP status VALUE", 503),
}

PLANS: Mapping[str, str] = {
    "asked": "",
    "flaky": "reset:head=0.01,reset:body=0.01,dripped=0.05,truncated:chunk=0.01,status:502=0.01,status:503=1/200x5",
    "overloaded": "status:503=0.2,status:529=0.1,retry-after=0.1,event:failed=0.1",
    "hostile": (
        "refused=1/500,reset:connect=0.005,reset:head=0.02,reset:body=0.02,stalled:head=0.002,stalled:body=0.005,"
        "dripped=0.02,truncated:event=0.02,truncated:chunk=0.02,truncated:end=0.02,gzip=0.01,type:html=0.01,"
        "type:json=0.01,type:fields=0.02,status:500=0.01,status:502=0.01,status:503=1/300x10,status:529=0.01,"
        "status:404=0.005,status:400=0.005,retry-after=0.005,limit:1=1/800,event:failed=0.01,event:unknown=0.03,"
        "event:malformed=0.01,event:swapped=0.02,event:lost=0.02,event:twice=0.02,event:unfinished=0.01,"
        "event:comments=0.002,stray:answer=0.02,stray:bytes=0.01,stray:length=0.01,token:rejected=0.005,"
        "token:short:5=1/3,token:down=0.1"
    ),
}
"""Named lists. ``hostile`` mixes every kind but those that lose a login."""

SEE_HELP = "`codexd --faults help` lists what may be written."

_PLACES = 9
_RATE = re.compile(r"(?:(?P<chance>[01]|0?\.\d+|1\.0+)|1/(?P<every>[1-9]\d{0,8}))(?:x(?P<burst>[1-9]\d{0,5}))?")
_ASKED = re.compile(r"\[fault ([a-z:-]+?)(?::(\d{1,5}))?( once)?\]")


@frozen
class Fault:
    """One fault. ``place`` is a number from 1 to 9: which of the answer's parts it meets."""

    kind: Kind
    value: int = 0
    place: int = 1

    @property
    def name(self) -> str:
        """As in a SPEC."""
        return f"{self.kind.value}:{self.value}" if KINDS[self.kind].value is not None else self.kind.value


@frozen
class Rule:
    """When a fault strikes: with a probability, or at every Nth chance. A burst strikes that many times."""

    fault: Fault
    chance: float = 0.0
    every: int = 0
    burst: int = 1


@frozen
class FaultPlan:
    """A parsed SPEC; ``text`` is the SPEC itself."""

    text: str
    rules: tuple[Rule, ...] = ()
    seed: int = 0


def parse_plan(text: str) -> FaultPlan:
    """Read a SPEC.

    Raises:
        ValueError: names the part that is wrong and what is allowed.
    """
    rules: dict[str, Rule] = {}
    seed = 0
    parts = [part.strip() for part in text.split(",")]
    for part in _expand(parts):
        name, equals, rate = part.partition("=")
        if name == "seed":
            seed = _read_seed(rate)
        elif not equals:
            raise ValueError(f"{part!r} is neither a plan nor KIND=RATE. {SEE_HELP}")
        else:
            rule = _read_rule(name, rate)
            rules[rule.fault.name] = rule
    return FaultPlan(text, tuple(rules.values()), seed)


def _expand(parts: list[str]) -> Iterator[str]:
    for part in parts:
        yield from (PLANS[part].split(",") if PLANS[part] else ()) if part in PLANS else (part,)


def _read_seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ValueError(f"seed={text}: write a whole number, such as seed=7")
    return int(text)


def _read_rule(name: str, rate: str) -> Rule:
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(
            f"{name}={rate}: write a probability from 0 to 1, or 1/N for every Nth request, then xM for a burst; "
            f"such as {name}=0.05 or {name}=1/100x10"
        )
    return Rule(_read_fault(name), float(found["chance"] or 0.0), int(found["every"] or 0), int(found["burst"] or 1))


def _read_fault(name: str) -> Fault:
    """Raises ValueError."""
    by_name = {kind.value: kind for kind in Kind}
    stem, _, number = name.rpartition(":")
    kind = by_name.get(name) or by_name.get(stem)
    if kind is None:
        raise ValueError(f"{name!r} is not a kind of fault. {SEE_HELP}")
    value, default = (None if kind.value == name else number), KINDS[kind].value
    if value is None:
        return Fault(kind, default or 0)
    if default is None or not (value.isascii() and value.isdigit()) or len(value) > 5:
        wanted = "takes no value" if default is None else f"takes a whole number, such as {kind.value}:{default}"
        raise ValueError(f"{name!r}: {kind.value} {wanted}")
    if (kind in (Kind.STATUS, Kind.TOKEN_DOWN)) and not 400 <= int(value) <= 599:
        raise ValueError(f"{name!r}: write an HTTP status from 400 to 599, such as {kind.value}:503")
    return Fault(kind, int(value))


def describe_spec() -> str:
    """What a SPEC may contain, one line each."""
    width = max(len(kind.value) for kind in Kind) + len(":VALUE")
    lines = [
        "A SPEC is KIND[:VALUE]=RATE,... or a plan; RATE is 0.05, 1/100 (every 100th) or 1/100x10 (a burst of 10)."
    ]
    lines += ["Kinds:"]
    for kind, about in KINDS.items():
        default = "" if about.value is None else f" (default {about.value})"
        name = kind.value if about.value is None else f"{kind.value}:VALUE"
        lines.append(f"  {name:<{width}}  {about.meaning}{default}")
    lines += [
        "Plans:",
        *(
            f"  {name:<{width}}  {spec or 'only prompts with [fault KIND] or [fault KIND once] fail'}"
            for name, spec in PLANS.items()
        ),
    ]
    lines += ["seed=N makes the choices repeatable."]
    return "\n".join(lines)


@frozen
class Asked:
    """A fault that a prompt asks for."""

    fault: Fault
    once: bool


def find_asked(prompt: str, stage: Stage) -> Asked | None:
    """The fault that ``[fault KIND]`` in a prompt asks for, if it belongs to this stage."""
    for found in _ASKED.finditer(prompt):
        name = f"{found[1]}:{found[2]}" if found[2] else found[1]
        try:
            fault = _read_fault(name)
        except ValueError:
            continue
        about = KINDS[fault.kind]
        if about.stage is stage or (about.stage is Stage.STREAM and stage is Stage.REQUEST):
            return Asked(fault, bool(found[3]))
    return None


class Dice:
    """Decides for each connection and request which fault strikes. The same seed and order give the same faults."""

    def __init__(self, plan: FaultPlan) -> None:
        self._counters = [_Counter(rule, random.Random(f"{plan.seed}:{rule.fault.name}")) for rule in plan.rules]  # noqa: S311 - no secret
        self._places = random.Random(plan.seed)  # noqa: S311 - as above
        self._done: set[int] = set()
        """The hashes of the prompts that have got what they asked for once."""

    def throw(self, *stages: Stage) -> Fault | None:
        """The fault that strikes now. Every rule of the stage counts the chance, and the first that strikes wins."""
        struck = [
            counter.rule.fault
            for counter in self._counters
            if KINDS[counter.rule.fault.kind].stage in stages and counter.strikes()
        ]
        return self.place(struck[0]) if struck else None

    def place(self, fault: Fault) -> Fault:
        return Fault(fault.kind, fault.value, self._places.randint(1, _PLACES))

    def obey(self, prompt: str, stage: Stage) -> Fault | None:
        """The fault that a prompt asks for. In a stream it strikes the first chance: a short answer has one delta."""
        asked, mark = find_asked(prompt, stage), hash(prompt)
        if asked is None or (asked.once and mark in self._done):
            return None
        if asked.once:
            self._done.add(mark)
        return asked.fault if KINDS[asked.fault.kind].stage is Stage.STREAM else self.place(asked.fault)


class _Counter:
    """One rule, how many chances it had, and what is left of its burst."""

    def __init__(self, rule: Rule, random_numbers: random.Random) -> None:
        self.rule = rule
        self._random = random_numbers
        self._chances = 0
        self._left = 0

    def strikes(self) -> bool:
        self._chances += 1
        if not self._left and self._begins():
            self._left = self.rule.burst
        strikes = self._left > 0
        self._left -= strikes
        return strikes

    def _begins(self) -> bool:
        if self.rule.every:
            return self._chances % self.rule.every == 0
        return self._random.random() < self.rule.chance
