"""How clients write their settings: what ``set_up`` needs to know of a format to change some names and nothing else.

A value is passed as the text that stands for it in the file, so that the user's own comes back as they wrote it.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from attrs import field, frozen

from codexd.clients import json_text, toml_text


class Format(Protocol):
    """Pure. ``text`` is always one that ``check`` has let through."""

    @property
    def blank(self) -> str:
        """What an empty file says."""

    @property
    def broken_hint(self) -> str:
        """What the client takes, for a user whose file can't be read."""

    @property
    def read_only_hint(self) -> str:
        """What else can be done about a file that must not be written."""

    def check(self, text: str) -> None:
        """Raises ValueError, with what and where, unless ``text`` can be edited safely."""

    def read(self, text: str, name: str) -> str | None:
        """The value of ``name``; None where there is none."""

    def put(self, text: str, name: str, raw: str) -> str:
        """Raises ValueError."""

    def drop(self, text: str, name: str) -> str:
        """Raises ValueError."""

    def parse(self, raw: str) -> Any: ...

    def dump(self, value: Any) -> str: ...

    def has_holder(self, text: str) -> bool:
        """Whether what holds the names is there."""

    def without_holder(self, text: str) -> str:
        """``text`` less a holder of nothing."""

    def is_empty(self, text: str) -> bool:
        """Whether it says nothing at all."""


@frozen
class EnvInJson:
    """Claude Code's ``settings.json``: the names are those of variables in its ``env``."""

    blank: str = field(default="{}\n", init=False)
    broken_hint: str = field(default="Claude Code takes plain JSON only, without comments.", init=False)
    read_only_hint: str = field(default=", or use `codexctl claude run`, which edits no file", init=False)

    def check(self, text: str) -> None:
        json_text.check(text)
        env = json_text.read(text, ("env",))
        if env is not None and not json_text.is_object(env):
            raise ValueError('its "env" is no object')
        json_text.check_names(env or "{}")

    def read(self, text: str, name: str) -> str | None:
        return json_text.read(text, ("env", name))

    def put(self, text: str, name: str, raw: str) -> str:
        if not self.has_holder(text):
            text = json_text.put(text, ("env",), "{}")
        return json_text.put(text, ("env", name), raw)

    def drop(self, text: str, name: str) -> str:
        return json_text.drop(text, ("env", name)) if self.has_holder(text) else text

    def parse(self, raw: str) -> Any:
        return json.loads(raw)

    def dump(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def has_holder(self, text: str) -> bool:
        return json_text.read(text, ("env",)) is not None

    def without_holder(self, text: str) -> str:
        empty = json_text.is_empty(json_text.read(text, ("env",)) or "{}")
        return json_text.drop(text, ("env",)) if empty else text

    def is_empty(self, text: str) -> bool:
        return json_text.is_empty(text)


@frozen
class Toml:
    """The Codex CLI's ``config.toml``: the names are keys of its root, or ``table.key`` for a table within a table."""

    blank: str = field(default="", init=False)
    broken_hint: str = field(default="The Codex CLI does not start with it either.", init=False)
    read_only_hint: str = field(default="", init=False)

    def check(self, text: str) -> None:
        toml_text.check(text)

    def read(self, text: str, name: str) -> str | None:
        return toml_text.read(text, _path(name))

    def put(self, text: str, name: str, raw: str) -> str:
        return toml_text.put(text, _path(name), raw)

    def drop(self, text: str, name: str) -> str:
        return toml_text.drop(text, _path(name))

    def parse(self, raw: str) -> Any:
        return toml_text.parse(raw)

    def dump(self, value: Any) -> str:
        return toml_text.dump(value)

    def has_holder(self, text: str) -> bool:  # noqa: ARG002 - the root is always there
        return True

    def without_holder(self, text: str) -> str:
        return text

    def is_empty(self, text: str) -> bool:
        return not text.strip()


def _path(name: str) -> toml_text.Path:
    return tuple(name.split("."))


ENV_IN_JSON, TOML = EnvInJson(), Toml()
