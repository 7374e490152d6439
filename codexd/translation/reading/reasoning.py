"""The reasoning round trip: encrypted reasoning travels in the ``signature`` of a thinking block.

Clients give thinking blocks back unchanged, so no memory is needed on this side: the signature is
an envelope of everything that the backend wants to see again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from attrs import frozen

from codexd import jsontext

_PREFIX = "cdx1."
_GENERATION = re.compile(r"gpt-\d+")


@frozen
class Reasoning:
    """One reasoning item: the backend's id, its ciphertext, and the model and account that it is bound to."""

    id: str
    encrypted: str
    model: str
    account_tag: str


def tag_account(chatgpt_account_id: str) -> str:
    """A short mark of an account that gives nothing away."""
    return hashlib.sha256(chatgpt_account_id.encode()).hexdigest()[:8]


def seal(reasoning: Reasoning) -> str:
    """The signature for ``reasoning``: printable ASCII of any length, which clients return verbatim."""
    envelope = {"id": reasoning.id, "enc": reasoning.encrypted, "m": reasoning.model, "a": reasoning.account_tag}
    return _PREFIX + base64.urlsafe_b64encode(jsontext.dumps(envelope)).rstrip(b"=").decode()


def unseal(signature: Any) -> Reasoning | None:
    """What ``seal`` put in; None for a signature of somebody else's, or one that was altered."""
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
    """The reasoning item that a signature stands for, if this model and this account can read it.

    The backend refuses another account's ciphertext; another generation of models withholds it.
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
