"""``daemon.*`` and ``kilo.*``."""

from __future__ import annotations

from attrs import frozen


@frozen
class TaskInfo:
    """A supervised task: ``state`` is a word of ``codexd.supervisor.TaskState``."""

    name: str
    state: str
    restarts: int
    last_error: str | None


@frozen
class Serving:
    """Whether a request can be served now.

    ``state``: the state of ``account`` (see ``AccountInfo``), or no_account, no_active_account, or kilo_only: nothing
    but the model name kilo can be served. ``account``: the label of the account that a new session would get, or that
    is in the way. ``reason``: why no account can serve, or why it is not the active one. ``until``: when that passes
    by itself, in seconds since the epoch. ``advice``: what to do, in full sentences. ``others``: the labels of other
    accounts that could serve: automatically with rotation, and after a switch without.
    """

    possible: bool
    state: str
    account: str | None
    reason: str | None
    until: float | None
    advice: str | None
    others: tuple[str, ...]


@frozen
class LimitedModel:
    """A limit on one model of the account that would serve a request. ``until`` is in seconds since the epoch."""

    model: str
    until: float


@frozen
class BoundInfo:
    """How much of one of the daemon's bounds is in use. ``unit``: bytes, or empty for a number of things."""

    name: str
    used: int
    limit: int
    unit: str


@frozen
class LastFailure:
    """The last request that failed. ``at`` is when it was received, in seconds since the epoch."""

    request: str
    at: float
    error: str


@frozen
class Service:
    """What runs the daemon. ``manager``: systemd or launchd; null if it was started by hand or by something else.

    ``unit``: the name of the systemd unit, or the label of the launchd agent, as far as it is known. ``activated``: the
    HTTP socket was passed to the daemon, so that connections wait in it while the daemon restarts.
    """

    manager: str | None
    unit: str | None
    activated: bool


@frozen
class DaemonStatus:
    """``active_account`` is a label; ``problems``: full sentences, each with what to do.

    ``faults``: what the simulated backend does wrong on purpose, as given to ``--faults``; null if nothing.
    """

    version: str
    pid: int
    started_at: float
    addresses: tuple[str, ...]
    simulated: bool
    faults: str | None
    tasks: tuple[TaskInfo, ...]
    active_account: str | None
    streams_in_flight: int
    settings_path: str
    problems: tuple[str, ...]
    serving: Serving
    limited_models: tuple[LimitedModel, ...]
    last_failure: LastFailure | None
    service: Service
    bounds: tuple[BoundInfo, ...]


@frozen
class Process:
    """A codexd: its process id and version."""

    pid: int
    version: str


@frozen
class Restarted:
    """``new`` serves all requests from now on. Those that run in ``old`` have ``drain_seconds`` to end."""

    old: Process
    new: Process
    streams_in_flight: int
    drain_seconds: float


@frozen
class Stopping:
    """The daemon takes no new requests; those that run have ``drain_seconds`` to end.

    If ``service.activated``, the next connection starts it again.
    """

    streams_in_flight: int
    drain_seconds: float
    service: Service


@frozen
class KiloModel:
    """``context_window`` is in tokens; it and ``takes_tools`` are null where Kilo does not say."""

    id: str
    name: str
    context_window: int | None
    takes_tools: bool | None


@frozen
class KiloModels:
    """``model``: what the name kilo means now. ``fetched_at`` is seconds since the epoch.

    ``problem``: why there is no list, or none that is new. As long as ``kilo.enabled`` is false Kilo is not asked.
    """

    enabled: bool
    model: str
    models: tuple[KiloModel, ...]
    fetched_at: float | None
    problem: str | None
