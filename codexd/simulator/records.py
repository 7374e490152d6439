"""What the simulated backend remembers of each request, for tests to look at. Tokens are left out."""

from __future__ import annotations

from enum import Enum
from typing import Any

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

    ``headers`` are lower-case; ``authorization`` names the account instead of holding the token.
    ``body`` is the parsed JSON object or form, None without one. ``ended`` is set once ``outcome`` is final.
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


SECRET_FIELDS = ("refresh_token", "token", "code", "code_verifier")


def redact_form(form: dict[str, Any]) -> dict[str, Any]:
    """A sign-in form without its secrets."""
    return {key: "<redacted>" if key in SECRET_FIELDS and value else value for key, value in form.items()}
