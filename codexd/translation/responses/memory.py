"""The answers that codexd remembers for clients that refer to them, because the backend stores nothing.

A client of OpenAI's platform that does not set ``store`` to false may name an earlier item (``item_reference``) or a
whole conversation (``previous_response_id``) instead of sending it again. The memory is lost when codexd ends.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from attrs import field, frozen

from codexd import bounds, jsontext
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.pairing import Item

MAX_AGE_S = 24 * 3600.0

_OWN_BYTES = 1000
"""What a conversation takes beside its text."""


@frozen
class Conversation:
    """What was said up to and including one response: all input and output, as JSON.

    As objects, the same would take several times the memory.
    """

    response_id: str
    session: str
    text: bytes = field(repr=False)
    item_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, response_id: str, session: str, items: list[Item]) -> Conversation:
        ids = (item.get("id") for item in items)
        text = bytes(memoryview(jsontext.dumps(items)))  # a copy, because orjson's is up to twice as large as it says
        return cls(response_id, session, text, tuple(each for each in ids if isinstance(each, str)))

    @property
    def items(self) -> list[Item]:
        items: list[Item] = jsontext.loads_exact(self.text)
        return items

    @property
    def size_bytes(self) -> int:
        return len(self.text) + _OWN_BYTES


@frozen
class _Entry:
    conversation: Conversation
    at: float
    """When it was remembered, in seconds since the epoch."""


class AnswerMemory:
    """The last conversations, bounded by size and age. Times are in seconds since the epoch.

    Only ``remember`` changes it. Requests with images are read in threads, so the readers leave it as it is.
    """

    def __init__(
        self,
        *,
        max_bytes: int = bounds.REMEMBERED_BYTES,
        max_session_bytes: int = bounds.REMEMBERED_SESSION_BYTES,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._max_session_bytes = max_session_bytes
        self._max_age_s = max_age_s
        self._kept: OrderedDict[str, _Entry] = OrderedDict()
        """By response id, the oldest first."""
        self._sessions: dict[str, OrderedDict[str, int]] = {}
        """Session -> its response ids, the oldest first, with their sizes."""
        self._holders: dict[str, _Entry] = {}
        """Item id -> the last conversation that has it."""

    def remember(self, conversation: Conversation, *, now: float) -> None:
        if conversation.size_bytes > self._max_bytes:
            return
        self._forget(conversation.response_id)
        entry = self._kept[conversation.response_id] = _Entry(conversation, now)
        own = self._sessions.setdefault(conversation.session, OrderedDict())
        own[conversation.response_id] = conversation.size_bytes
        self.size_bytes += conversation.size_bytes
        self._holders |= dict.fromkeys(conversation.item_ids, entry)
        while len(own) > 1 and sum(own.values()) > self._max_session_bytes:
            self._forget(next(iter(own)))
        while self.size_bytes > self._max_bytes:
            self._forget(next(iter(self._kept)))
        while self._is_old(next(iter(self._kept.values())), now):
            self._forget(next(iter(self._kept)))

    def find_holder(self, item_id: str, *, now: float) -> Conversation | None:
        """The last conversation with the item."""
        found = self._holders.get(item_id)
        return found.conversation if found and not self._is_old(found, now) else None

    def find_conversation(self, response_id: Any, *, now: float) -> Conversation | None:
        found = self._kept.get(response_id) if isinstance(response_id, str) else None
        return found.conversation if found and not self._is_old(found, now) else None

    def _is_old(self, entry: _Entry, now: float) -> bool:
        return entry.at < now - self._max_age_s

    def _forget(self, response_id: str) -> None:
        entry = self._kept.pop(response_id, None)
        if entry is None:
            return
        conversation = entry.conversation
        self.size_bytes -= conversation.size_bytes
        own = self._sessions[conversation.session]
        del own[response_id]
        if not own:
            del self._sessions[conversation.session]
        for item_id in conversation.item_ids:
            if self._holders.get(item_id) is entry:
                del self._holders[item_id]


# -- a request that refers to them ----------------------------------------------------------------

_KEPT = "codexd keeps answers in memory only, for a day at most"
_ADVICE = 'set "store": false and "include": ["reasoning.encrypted_content"], so that your client sends whole items'
_REASONING_ID = "rs_"


def find_previous(body: Fields, answers: AnswerMemory, *, now: float) -> Conversation | None:
    """The conversation that ``previous_response_id`` names; None if the request names none.

    Raises:
        RequestInvalid: codexd does not remember it.
    """
    response_id = body.optional_string("previous_response_id")
    if response_id is None:
        return None
    found = answers.find_conversation(response_id, now=now)
    if found is None:
        problem = f"Previous response with id '{response_id}' not found. {_KEPT}; send the whole input instead"
        raise body.wrong("previous_response_id", problem)
    return found


def resolve(items: list[Fields], answers: AnswerMemory, *, now: float) -> list[Fields]:
    """``items`` with each reference replaced by the item that it names. A second reference to one is left out.

    Raises:
        RequestInvalid: a reference to anything but reasoning that codexd does not remember.
    """
    present = {item_id for item in items if not _is_reference(item) and isinstance(item_id := item.get("id"), str)}
    resolved: list[Fields] = []
    recalled: dict[str, Item] = {}
    for item in items:
        if not _is_reference(item):
            resolved.append(item)
            continue
        item_id = item.string("id")
        found = None if item_id in present else _find(item, item_id, answers, now, recalled)
        if found is not None:
            present.add(item_id)
            resolved.append(Fields(found, item.path, item.losses))
    return resolved


def _is_reference(item: Fields) -> bool:
    """The type of a reference may be missing."""
    if item.get("type") is not None:
        return bool(item.get("type") == "item_reference")
    return [name for name, value in item.value.items() if value is not None] == ["id"]


def _find(item: Fields, item_id: str, answers: AnswerMemory, now: float, recalled: dict[str, Item]) -> Item | None:
    """The item that a reference names. ``recalled``: those of the conversations that have been read so far."""
    if item_id not in recalled and (holder := answers.find_holder(item_id, now=now)):
        recalled |= {each["id"]: each for each in holder.items if isinstance(each.get("id"), str)}
    if item_id in recalled:
        return recalled[item_id]
    if not item_id.startswith(_REASONING_ID):
        raise item.wrong("id", f"Item with id '{item_id}' not found. {_KEPT}; {_ADVICE}")
    item.lose(LossKind.APPROXIMATED, "", "left out: codexd no longer has this reasoning")
    return None
