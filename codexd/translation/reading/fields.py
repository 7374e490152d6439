"""Reading a client's JSON object field by field, with errors that name the path."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from codexd import bounds, jsontext
from codexd.errors import RequestInvalid
from codexd.translation.reading.losses import Losses, LossKind
from codexd.translation.reading.media import MEDIA_MARK, look_ahead


@frozen
class Fields:
    """A JSON object of a request, and its path, such as ``messages[3].content[0]``.

    A null field counts as missing, because clients use both for the same thing. Every reader raises RequestInvalid
    with the field's path.
    """

    value: dict[str, Any]
    path: str
    losses: Losses = field(factory=Losses, repr=False, eq=False)

    @classmethod
    def of(cls, value: Any, path: str, losses: Losses) -> Fields:
        if not isinstance(value, dict):
            raise RequestInvalid(path, "must be an object")
        return cls(value, path, losses)

    def lose(self, kind: LossKind, name: str, note: str) -> None:
        """Record what happens to the field ``name``; an empty name stands for the object itself."""
        self.losses.add(kind, self.at(name) if name else self.path, note)

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, problem: str) -> RequestInvalid:
        return RequestInvalid(self.at(name), problem)

    def get(self, name: str) -> Any:
        return self.value.get(name)

    def string(self, name: str) -> str:
        value = self.value.get(name)
        if value is None:
            raise self.wrong(name, "required")
        if not isinstance(value, str):
            raise self.wrong(name, "must be a string")
        return value

    def filled_string(self, name: str) -> str:
        value = self.string(name)
        if not value:
            raise self.wrong(name, "must not be empty")
        return value

    def optional_string(self, name: str) -> str | None:
        return None if self.value.get(name) is None else self.string(name)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.value.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def integer(self, name: str) -> int:
        value = self.value.get(name)
        if value is None:
            raise self.wrong(name, "required")
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "must be a whole number")
        return value

    def optional_count(self, name: str) -> int | None:
        """A whole number of at least one."""
        value = None if self.value.get(name) is None else self.integer(name)
        if value is not None and value < 1:
            raise self.wrong(name, "must be at least 1")
        return value

    def optional_object(self, name: str) -> Fields | None:
        value = self.value.get(name)
        return None if value is None else Fields.of(value, self.at(name), self.losses)

    def object(self, name: str) -> Fields:
        found = self.optional_object(name)
        if found is None:
            raise self.wrong(name, "required")
        return found

    def objects(self, name: str) -> list[Fields]:
        """A list of objects, empty if the field is missing."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "must be a list")
        return [Fields.of(item, f"{self.at(name)}[{index}]", self.losses) for index, item in enumerate(value)]

    def strings(self, name: str) -> list[str]:
        """A list of strings, empty if the field is missing."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, "must be a list of strings")
        return value


MAX_MODEL_CHARS = 1000
"""The longest model name; every event of an answer may repeat it."""


def peek_model(data: bytes) -> str | None:
    """The model that an HTTP body names, even if the rest of the request is invalid; None if it names none."""
    try:
        value = jsontext.loads(data)
    except ValueError:
        return None
    model = value.get("model") if isinstance(value, dict) else None
    return model if isinstance(model, str) else None


def parse_body(data: bytes) -> Fields:
    """The JSON object in an HTTP body.

    Raises:
        RequestInvalid: not JSON, not an object, nested too deeply, or with too many values.
    """
    separators = sum(map(data.count, (b",", b"[", b"{")))
    if separators > bounds.JSON_SEPARATORS:
        raise _too_many_values()
    try:
        value = jsontext.loads_exact(data)
    except ValueError as wrong:
        raise RequestInvalid("", f"the body is not JSON: {wrong}") from None
    if separators > bounds.JSON_VALUES and jsontext.has_more_values(value, bounds.JSON_VALUES):
        raise _too_many_values()
    deep = jsontext.find_too_deep(value)
    if deep is not None:
        raise RequestInvalid(f"{deep[:100]}…", f"nested more than {bounds.JSON_DEPTH} levels deep")
    if not isinstance(value, dict):
        raise RequestInvalid("", "the body must be a JSON object")
    if MEDIA_MARK in data:
        look_ahead(value)
    return Fields(value, "")


def _too_many_values() -> RequestInvalid:
    return RequestInvalid("", f"the body must not hold more than {bounds.JSON_VALUES} values")


def read_model(body: Fields) -> str:
    """The name of the model that a client asks for."""
    model = body.string("model")
    if len(model) > MAX_MODEL_CHARS:
        raise body.wrong("model", f"must not be longer than {MAX_MODEL_CHARS} characters")
    return model
