"""The knobs of the simulated backend."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen


class TerminalOutput(Enum):
    """What ``response.output`` of the terminal event holds; the backend is known to do all three."""

    EMPTY = "empty"
    FULL = "full"
    WITHOUT_IDS = "without ids"


@frozen(kw_only=True)
class Options:
    """How this backend behaves; the defaults are what the real one does most of the time.

    Gates: ``minimal_client_versions`` names the models that are served and listed only to a client
    that claims at least this version; ``codex_originators_only`` those that are served only to an
    ``originator`` of the Codex family; ``refused_models`` those that are listed but refused.
    """

    access_token_lifetime_s: float = 864_000
    kill_family_on_reuse: bool = True

    context_window_tokens: int | None = None
    """Replaces every model's own window, so that a test overflows it with a short text."""
    overflow_in_stream: bool = False
    max_body_bytes: int = 64 * 1024 * 1024
    instructions_required: bool = False
    minimal_client_versions: Mapping[str, str] = field(factory=dict)
    codex_originators_only: frozenset[str] = frozenset()
    refused_models: frozenset[str] = frozenset()

    terminal_output: TerminalOutput = TerminalOutput.EMPTY
    delta_chars: int = 16
    chunk_events: int = 1
    """Events sent in one HTTP chunk."""
    rate_limits_event: bool = True
    keepalive_interval_s: float | None = None

    primary_budget_tokens: int = 5_000_000
    secondary_budget_tokens: int = 50_000_000

    kept_requests: int = 1_000
    """How many requests are remembered, bodies included."""
