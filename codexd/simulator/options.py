"""The options of the simulated backend."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen


class TerminalOutput(Enum):
    """What ``response.output`` of the terminal event holds. The real backend sends all three forms."""

    EMPTY = "empty"
    FULL = "full"
    WITHOUT_IDS = "without ids"


class Unserved(Enum):
    """Why the backend serves nobody's requests, though every login is fine."""

    REGION = "region"
    """The workspace is bound to another region."""
    COUNTRY = "country"
    """The connection comes from a country that is not served."""
    ROUTE = "route"
    """There is no route for the workspace."""


@frozen
class Credits:
    """What an account may spend beyond its plan: it is served even when its own limit is used up.

    The balance is only shown; nothing is deducted from it.
    """

    balance: str = "10.00"
    unlimited: bool = False


@frozen
class MeteredLimit:
    """A limit in addition to the plan's own. Requests for ``models`` count against both, and either may refuse them.

    It has one window, in the primary slot. ``feature`` is the limit's id in the headers and events.
    """

    name: str
    models: frozenset[str]
    feature: str = "codex_bengalfox"
    budget_tokens: int = 1_000_000
    length_s: int = 5 * 60 * 60


@frozen(kw_only=True)
class Options:
    """How this backend behaves. The defaults are what the real one does most of the time.

    Gates: a model in ``minimal_client_versions`` is listed and served only if the client claims at least this version;
    a model in ``codex_originators_only`` is served only to an ``originator`` of the Codex family; a model in
    ``refused_models`` is listed but refused; ``plan_models`` has all models that a plan includes, by plan.
    """

    access_token_lifetime_s: float = 864_000
    kill_family_on_reuse: bool = True
    missing_codex_entitlement: bool = False
    """Each sign-in is redirected back with an error, because the workspace does not have Codex."""
    revoke_status: int = 200
    """If 400 or above, ``/oauth/revoke`` fails with this status and revokes nothing."""
    device_login: bool = True
    device_pending_status: int = 403
    """The status while a device is not yet approved: 403 or 404."""
    device_interval_s: float = 5

    context_window_tokens: int | None = None
    """Replaces the window of every model, so that a test can overflow it with a short text."""
    overflow_in_stream: bool = False
    max_body_bytes: int = 64 * 1024 * 1024
    instructions_required: bool = False
    minimal_client_versions: Mapping[str, str] = field(factory=dict)
    codex_originators_only: frozenset[str] = frozenset()
    refused_models: frozenset[str] = frozenset()
    plan_models: Mapping[str, frozenset[str]] = field(factory=dict)
    models_status: int = 200
    """If 400 or above, the list of models is refused with this status."""

    terminal_output: TerminalOutput = TerminalOutput.EMPTY
    delta_chars: int = 16
    chunk_events: int = 1
    """Events per HTTP chunk."""
    rate_limits_event: bool = True
    keepalive_interval_s: float | None = None

    primary_budget_tokens: int = 5_000_000
    secondary_budget_tokens: int = 50_000_000
    credits: Credits | None = None
    spent: str | None = None
    """What is used up besides the windows, such as ``workspace_member_credits_depleted``: every request is refused."""
    unserved: Unserved | None = None
    metered_limits: tuple[MeteredLimit, ...] = ()

    kept_requests: int = 1_000
    """How many requests are kept, bodies included."""
