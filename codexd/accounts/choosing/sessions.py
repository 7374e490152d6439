"""Which account each session uses, and what a switch would cost: another account can't use its cache. Pure."""

from __future__ import annotations

from attrs import define

from codexd import bounds
from codexd.api.accounts import SwitchCost

ACTIVE_S = 3600.0
"""A session that has been idle for this long has nothing cached anymore, so a switch costs it nothing."""


@define
class _Session:
    """``keeps``: whether it stays with its account. The counts are from its last answered request."""

    account_id: str
    used_at: float
    keeps: bool = True
    input_tokens: int = 0
    reasoning_items: int = 0


class Sessions:
    """The sessions of the clients, by the ``session_key`` of their requests."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        """The most recently used one comes last."""

    def __len__(self) -> int:
        return len(self._sessions)

    def kept_account(self, key: str) -> str | None:
        """The id of the account that the session should stay with, if any."""
        session = self._sessions.get(key)
        return session.account_id if session and session.keeps else None

    def put(self, key: str, account_id: str, now: float) -> None:
        """Note that the session's next request goes to this account; ``now`` in seconds since the epoch."""
        session = self._sessions.pop(key, None) or _Session(account_id, now)
        session.account_id, session.used_at, session.keeps = account_id, now, True
        self._sessions[key] = session
        if len(self._sessions) > bounds.SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def note_size(self, key: str, *, input_tokens: int, reasoning_items: int) -> None:
        """Note the size of the session's latest answered request."""
        session = self._sessions.get(key)
        if session is not None:
            session.input_tokens, session.reasoning_items = input_tokens, reasoning_items

    def release(self) -> None:
        """Let every session move, because the user chose another account."""
        for session in self._sessions.values():
            session.keeps = False

    def cost_of_switch(self, to_account_id: str, now: float) -> SwitchCost:
        """What the switch costs the active sessions on other accounts. A session without an answer costs nothing."""
        moving = [
            session
            for session in self._sessions.values()
            if session.account_id != to_account_id and now - session.used_at < ACTIVE_S and session.input_tokens
        ]
        return SwitchCost(
            sessions=len(moving),
            reasoning_items=sum(session.reasoning_items for session in moving),
            tokens=sum(session.input_tokens for session in moving),
        )
