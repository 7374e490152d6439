"""How encrypted reasoning returns to the model and the account that made it.

The backend rejects the reasoning of another account. Messages and Chat clients get it sealed in an envelope, such as
the ``signature`` of a thinking block, and send it back unchanged, so nothing has to be remembered. A Responses client
gets the plain ciphertext, which has no room for a mark, so ``ReasoningOwners`` remembers which account it belongs to.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from typing import Any

from attrs import frozen

from codexd import bounds, jsontext

CUT_OFF = "left out: the backend requires the item that followed the reasoning"
"""What the ledger says of reasoning at the end of a turn."""

_PREFIX = "cdx1."
_GENERATION = re.compile(r"gpt-\d+")


@frozen
class Reasoning:
    """One reasoning item: the backend's id, the ciphertext, and the model and account that it belongs to."""

    id: str
    encrypted: str
    model: str
    account_tag: str


def tag_account(chatgpt_account_id: str) -> str:
    """A short hash that stands for an account without revealing it."""
    return hashlib.sha256(chatgpt_account_id.encode()).hexdigest()[:8]


def seal(reasoning: Reasoning) -> str:
    """The signature for ``reasoning``: printable ASCII of any length."""
    envelope = {"id": reasoning.id, "enc": reasoning.encrypted, "m": reasoning.model, "a": reasoning.account_tag}
    return _PREFIX + base64.urlsafe_b64encode(jsontext.dumps(envelope)).rstrip(b"=").decode()


def unseal(signature: Any) -> Reasoning | None:
    """What ``seal`` put in; None for a signature that is not ours or was altered."""
    if not isinstance(signature, str) or not signature.startswith(_PREFIX):
        return None
    text = signature.removeprefix(_PREFIX)
    try:
        envelope = jsontext.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(envelope, dict):
        return None
    values = [value for key in ("id", "enc", "m", "a") if isinstance(value := envelope.get(key), str)]
    return Reasoning(*values) if len(values) == 4 and envelope["enc"] else None


def to_item(signature: Any, *, model: str, account_tag: str) -> dict[str, Any] | None:
    """The reasoning item in a signature; None if this model or this account can't read it.

    The backend rejects ciphertext from another account, and ignores ciphertext from another generation of models.
    """
    reasoning = unseal(signature)
    if reasoning is None or reasoning.account_tag != account_tag:
        return None
    if _generation(reasoning.model) != _generation(model):
        return None
    return {"type": "reasoning", "summary": [], "encrypted_content": reasoning.encrypted}


def _generation(model: str) -> str:
    found = _GENERATION.match(model)
    return found[0] if found else model


# -- plain ciphertext -----------------------------------------------------------------------------


class ReasoningOwners:
    """Remembers which account each piece of reasoning belongs to. Forgotten reasoning may be sent for any account.

    Without this, each request of a session would be rejected once after a switch of accounts, and its second attempt
    would have to leave out all reasoning.
    """

    def __init__(self, maximum: int = bounds.REASONING) -> None:
        self._maximum = maximum
        self._makers: OrderedDict[bytes, str] = OrderedDict()
        """Digest of a ciphertext -> the tag of the account that made it."""
        self._refused: OrderedDict[tuple[bytes, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._makers)

    def note(self, sealed: Any, account_tag: str) -> None:
        """Remember that the account made ``sealed``."""
        if isinstance(sealed, str) and sealed:
            self._makers[_digest(sealed)] = account_tag
            self._bound(self._makers)

    def note_refused(self, sealed: str, account_tag: str) -> None:
        """Remember that the backend rejected a request of the account that contained ``sealed`` as unreadable."""
        if self._makers.get(_digest(sealed)) != account_tag:
            self._refused[_digest(sealed), account_tag] = None
            self._bound(self._refused)

    def is_foreign(self, sealed: str, account_tag: str) -> bool:
        """Whether the account is known to be unable to read ``sealed``."""
        digest = _digest(sealed)
        return self._makers.get(digest, account_tag) != account_tag or (digest, account_tag) in self._refused

    def _bound(self, memory: OrderedDict[Any, Any]) -> None:
        if len(memory) > self._maximum:
            memory.popitem(last=False)


def _digest(sealed: str) -> bytes:
    return hashlib.sha256(sealed.encode("utf-8", "replace")).digest()[:16]
