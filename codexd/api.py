"""The control contract: every method with the classes of its params and its result, and the events of a follow.

One table, ``METHODS``; the control socket and, later, the management routes, ``rpc.discover`` and the
documentation come from it. Times are seconds since the epoch (wall clock).

Import law: standard library, attrs, cattrs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import cattrs
from attrs import Attribute, field, frozen
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_unstructure_fn

from codexd.errors import RequestInvalid

LEVELS = ("debug", "info", "warning", "error", "critical")

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def one_of(choices: tuple[str, ...]) -> Validator:
    def check(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None and value not in choices:
            raise RequestInvalid(attribute.name, f"must be one of {', '.join(choices)}")

    return check


def between(least: int, most: int) -> Validator:
    def check(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not least <= value <= most:
            raise RequestInvalid(attribute.name, f"must be from {least} to {most}")

    return check


def filled(_instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if not value:
        raise RequestInvalid(attribute.name, "must not be empty")


@frozen
class NoParams:
    pass


@frozen
class TaskInfo:
    """A supervised task: ``state`` is a word of ``codexd.supervisor.TaskState``."""

    name: str
    state: str
    restarts: int
    last_error: str | None


@frozen
class DaemonStatus:
    """``active_account`` is an email; ``problems``: sentences about files that could not be read."""

    version: str
    pid: int
    started_at: float
    addresses: tuple[str, ...]
    simulated: bool
    tasks: tuple[TaskInfo, ...]
    active_account: str | None
    streams_in_flight: int
    settings_path: str
    problems: tuple[str, ...]


@frozen
class AccountRef:
    """Enough of an account to name it to its user."""

    id: str
    email: str
    plan: str
    simulated: bool


@frozen
class QuotaWindow:
    """A rate-limit window of the plan."""

    name: str
    used_percent: float
    window_seconds: float | None
    resets_at: float | None


@frozen
class AccountInfo:
    """``state``: ok, expiring, expired, needs_login, limited or disabled; ``reason`` says why it needs a login.

    ``quota`` is what was last observed, empty before the first reply of the backend.
    """

    id: str
    email: str
    plan: str
    active: bool
    state: str
    reason: str | None
    expires_at: float | None
    added_at: float
    last_used: float | None
    quota: tuple[QuotaWindow, ...]
    simulated: bool


@frozen
class AccountList:
    """``active`` is the id of the active account."""

    accounts: tuple[AccountInfo, ...]
    active: str | None


@frozen
class AccountImport:
    """``source``: ``codex`` (the login of the Codex CLI) or the absolute path of an ``auth.json``."""

    source: str = field(default="codex", validator=filled)


@frozen
class ImportedAccounts:
    """``note`` is one sentence that the user should read."""

    added: tuple[AccountRef, ...]
    updated: tuple[AccountRef, ...]
    note: str | None


@frozen
class AccountChoice:
    """``account``: an email, an id or a unique prefix of one."""

    account: str = field(validator=filled)


@frozen
class SwitchedAccount:
    account: AccountRef


@frozen
class RequestsList:
    """``limit``: at most so many requests, the newest."""

    limit: int = field(default=100, validator=between(0, 1_000_000))


@frozen
class LossInfo:
    """What translation did to a field: ``kind`` is renamed, approximated, dropped or cosmetic."""

    kind: str
    path: str
    note: str


@frozen
class TokenCounts:
    """``input`` includes ``cached``, ``output`` includes ``reasoning``."""

    input: int
    cached: int
    output: int
    reasoning: int


@frozen
class RequestInfo:
    """One model request. ``state``: running, done or failed; ``error`` is what the client was told."""

    id: str
    client: str
    model: str | None
    model_used: str | None
    account: str | None
    state: str
    started_at: float
    ttft_ms: int | None
    duration_ms: int | None
    tokens: TokenCounts | None
    status: int | None
    error: str | None
    losses: tuple[LossInfo, ...]


@frozen
class RequestList:
    """``requests``: the oldest first, the running ones last."""

    requests: tuple[RequestInfo, ...]


@frozen(kw_only=True)
class LogFilter:
    """Which log entries: each part that is set must match.

    ``level`` is the least level, ``since`` a time, ``contains`` a text looked for in the logger's name, the
    request id, the message and the fields without regard to case, ``request`` a request id.
    """

    level: str | None = field(default=None, validator=one_of(LEVELS))
    since: float | None = None
    contains: str | None = None
    request: str | None = None


@frozen(kw_only=True)
class LogsHistory(LogFilter):
    """``limit``: at most so many entries, the newest."""

    limit: int = field(default=100, validator=between(0, 1_000_000))


@frozen(kw_only=True)
class LogsFollow(LogFilter):
    """``limit``: so many entries of the past come first, without a gap before the new ones."""

    limit: int = field(default=0, validator=between(0, 1_000_000))


@frozen
class LogEntry:
    """One log entry, free of secrets. ``id`` counts up from 1 in one run of the daemon.

    ``fields`` holds plain JSON values; ``fields["traceback"]`` is the text of an exception.
    """

    id: int
    at: float
    level: str
    logger: str
    message: str
    request: str | None
    fields: Mapping[str, Any]


@frozen
class LogEntries:
    """``entries``: the oldest first."""

    entries: tuple[LogEntry, ...]


@frozen
class LogEvent:
    """Either an entry, or the number of entries that this follower was too slow for."""

    entry: LogEntry | None = None
    missed: int | None = None


@frozen
class Subscription:
    """A follow of this connection; its notifications carry the same ``subscription``."""

    subscription: int


@frozen
class Method:
    """``example``: params that are valid. ``event``: what the notifications of a follow carry."""

    name: str
    params: type
    result: type
    summary: str
    example: Mapping[str, Any] = field(factory=lambda: MappingProxyType({}))
    event: type | None = None


_ALL = (
    Method("daemon.status", NoParams, DaemonStatus, "What the daemon is doing, and what is wrong"),
    Method("accounts.list", NoParams, AccountList, "Every account with its state and quota"),
    Method("accounts.import", AccountImport, ImportedAccounts, "Take over a login from a file", {"source": "codex"}),
    Method(
        "accounts.switch",
        AccountChoice,
        SwitchedAccount,
        "Make an account the active one",
        {"account": "work@example.com"},
    ),
    Method(
        "logs.history",
        LogsHistory,
        LogEntries,
        "Log entries of the past, the oldest first",
        {"limit": 20, "level": "warning"},
    ),
    Method(
        "logs.follow",
        LogsFollow,
        Subscription,
        "Log entries as they come",
        {"limit": 10, "contains": "gpt-5.5"},
        event=LogEvent,
    ),
    Method("requests.list", RequestsList, RequestList, "Requests that run, and the last that ended", {"limit": 20}),
    Method("subscription.cancel", Subscription, Subscription, "End a follow", {"subscription": 1}),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})


def read_params(method: Method, params: Any) -> Any:
    """An instance of ``method.params`` from the params of a call.

    Raises:
        RequestInvalid: names the param and what it must be.
    """
    if isinstance(params, list):
        raise RequestInvalid("params", "must be an object: params are given by name")
    try:
        return _converter.structure({} if params is None else params, method.params)
    except ClassValidationError as error:
        raise _first_problem(error) from None


def to_json(value: Any) -> Any:
    """A result or an event as plain JSON values."""
    return _converter.unstructure(value)


def _first_problem(error: ClassValidationError) -> RequestInvalid:
    located, others = error.group_exceptions()
    if located:
        problem, where = located[0]
        return RequestInvalid(where.name, "is required" if isinstance(problem, KeyError) else str(problem))
    match others[0]:
        case ForbiddenExtraKeysError(extra_fields=names):
            return RequestInvalid(min(names), "is no param of this method")
        case RequestInvalid() as refused:
            return refused
    raise error


def _make_converter() -> cattrs.Converter:
    """Strict: cattrs by itself would read the number 1 as the text "1" and drop unknown keys."""
    converter = cattrs.Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list})
    for type_, read in ((str, _text), (int, _integer), (float, _number), (bool, _boolean)):
        converter.register_structure_hook(type_, read)
    omit_unset = make_dict_unstructure_fn(LogEvent, converter, _cattrs_omit_if_default=True)
    converter.register_unstructure_hook(LogEvent, omit_unset)
    return converter


def _text(value: Any, _type: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def _integer(value: Any, _type: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("must be an integer")
    return value


def _number(value: Any, _type: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError("must be a number")
    return value


def _boolean(value: Any, _type: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


_converter = _make_converter()
