"""What the simulated backend remembers of each request, for tests to look at. Tokens are left out."""

from __future__ import annotations

from enum import Enum
from typing import Any
from urllib.parse import unquote_plus

import trio
from attrs import define, field


class Outcome(Enum):
    """How far a request has come."""

    RUNNING = "running"
    COMPLETED = "completed"
    REFUSED = "refused"
    CUT_BY_CLIENT = "cut by client"
    """The client hung up, or the server was shut down, before the answer's end."""
    CUT_BY_SCRIPT = "cut by script"


@define(eq=False)
class Request:
    """One request, from its head to its end.

    ``headers`` are lower-case; ``authorization`` names the account instead of holding the token. ``query`` is as
    written, less its secrets. ``body`` is the parsed JSON object or form, None without one. ``ended`` is set once
    ``outcome`` is final.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any] | None = None
    status: int | None = None
    outcome: Outcome = Outcome.RUNNING
    events_sent: int = 0
    bytes_sent: int = 0
    ended: trio.Event = field(factory=trio.Event, repr=False)

    def finish(self, outcome: Outcome) -> None:
        """Settle the outcome; the first settlement stands."""
        if self.outcome is Outcome.RUNNING:
            self.outcome = outcome


SECRET_FIELDS = frozenset(
    (
        "access_token",
        "authorization_code",
        "code",
        "code_verifier",
        "device_auth_id",
        "id_token",
        "refresh_token",
        "token",
        "user_code",
    )
)
REDACTED = "<redacted>"


def redact_form(form: dict[str, Any]) -> dict[str, Any]:
    """A sign-in form without its secrets."""
    return {key: REDACTED if key in SECRET_FIELDS and value else value for key, value in form.items()}


def redact_query(query: str) -> str:
    """A query string without its secrets, and otherwise as it was written."""
    return "&".join(_redact_pair(pair) for pair in query.split("&"))


def _redact_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name}={REDACTED}" if value and unquote_plus(name) in SECRET_FIELDS else pair
