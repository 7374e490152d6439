"""The settings file of another program, read and replaced with care: it belongs to the user, not to codexd.

A format changes the value of some names and nothing else. It takes and returns values as the text in the file, so that
a user's own value comes back as they wrote it.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from codexd import bounds
from codexd.clients import json_text, toml_text
from codexd.errors import ClientFileRefused
from codexd.files import PRIVATE, delete_leftovers, sync_folder, unused_name, write_atomic


class Format(Protocol):
    """The syntax of a settings file. Pure. Every ``text`` has passed ``check``."""

    @property
    def blank(self) -> str:
        """The text that an empty file is treated as."""

    @property
    def broken_hint(self) -> str:
        """What the client accepts, for a user whose file can't be read."""

    @property
    def read_only_hint(self) -> str:
        """What a user can do instead if the file must not be written."""

    def check(self, text: str) -> None:
        """Raise ValueError, with what is wrong and where, unless ``text`` can be edited safely."""

    def read(self, text: str, name: str) -> str | None:
        """The raw value of ``name``, or None."""

    def put(self, text: str, name: str, raw: str) -> str:
        """``text`` with ``raw`` as the value of ``name``. Raises ValueError if it can't be edited."""

    def drop(self, text: str, name: str) -> str:
        """``text`` without ``name``. Raises ValueError if it can't be edited."""

    def parse(self, raw: str) -> Any: ...

    def dump(self, value: Any) -> str: ...

    def has_holder(self, text: str) -> bool:
        """Whether the object that holds the names exists."""

    def without_holder(self, text: str) -> str:
        """``text`` without that object, if it is empty."""

    def is_empty(self, text: str) -> bool:
        """Whether ``text`` sets nothing."""


@frozen
class EnvInJson:
    """Claude Code's ``settings.json``: the names are variables in its ``env``, or keys beside it.

    ``autoCompactWindow`` is a key of its root; ``modelSettings.MODEL.autoCompactWindow`` is the same for one model,
    whose name may contain dots; ``permissions.KEY`` is a key of that object.
    """

    blank: str = field(default="{}\n", init=False)
    broken_hint: str = field(default="Claude Code accepts only plain JSON, without comments.", init=False)
    read_only_hint: str = field(default=", or use `codexctl claude run`, which edits no file", init=False)

    def check(self, text: str) -> None:
        json_text.check(text)
        for holder in ("env", PERMISSIONS):
            held = json_text.read(text, (holder,))
            if held is not None and not json_text.is_object(held):
                raise ValueError(f'its "{holder}" is not an object')
            json_text.check_names(held or "{}")
        models = json_text.read(text, (MODEL_SETTINGS,))
        if models is not None and not _holds_objects(models):
            raise ValueError(f'its "{MODEL_SETTINGS}" is not an object of objects')

    def read(self, text: str, name: str) -> str | None:
        return json_text.read(text, _json_path(name))

    def put(self, text: str, name: str, raw: str) -> str:
        path = _json_path(name)
        for depth in range(1, len(path)):
            if json_text.read(text, path[:depth]) is None:
                text = json_text.put(text, path[:depth], "{}")
        return json_text.put(text, path, raw)

    def drop(self, text: str, name: str) -> str:
        path = _json_path(name)
        if json_text.read(text, path) is None:
            return text
        text = json_text.drop(text, path)
        for depth in range(len(path) - 1, 0, -1):
            if path[0] != "env" and json_text.is_empty(json_text.read(text, path[:depth]) or "{}"):
                text = json_text.drop(text, path[:depth])
        return text

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


MODEL_SETTINGS, COMPACT_WINDOW, PERMISSIONS = "modelSettings", "autoCompactWindow", "permissions"


def is_variable(name: str) -> bool:
    """Whether the name of Claude Code's settings belongs in ``env``."""
    return _json_path(name)[0] == "env"


def _json_path(name: str) -> json_text.Path:
    if name == COMPACT_WINDOW:
        return (name,)
    if name.startswith(f"{MODEL_SETTINGS}."):
        model = name.removeprefix(f"{MODEL_SETTINGS}.").removesuffix(f".{COMPACT_WINDOW}")
        return MODEL_SETTINGS, model, COMPACT_WINDOW
    if name.startswith(f"{PERMISSIONS}."):
        return PERMISSIONS, name.removeprefix(f"{PERMISSIONS}.")
    return "env", name


def _holds_objects(raw: str) -> bool:
    value = json.loads(raw)
    return isinstance(value, dict) and all(isinstance(each, dict) for each in value.values())


@frozen
class Toml:
    """The Codex CLI's ``config.toml``: the names are keys of its root, or ``table.key`` for a nested table."""

    blank: str = field(default="", init=False)
    broken_hint: str = field(default="The Codex CLI can't read it either.", init=False)
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

    def has_holder(self, text: str) -> bool:  # noqa: ARG002 - the root always exists
        return True

    def without_holder(self, text: str) -> str:
        return text

    def is_empty(self, text: str) -> bool:
        return not text.strip()


def _path(name: str) -> toml_text.Path:
    return tuple(name.split("."))


ENV_IN_JSON, TOML = EnvInJson(), Toml()


BACKUP_ENDING = ".before-codexd"


@frozen
class Content:
    """The content of a file. ``path``: links resolved. ``text``: None without a file. ``owner``: a user id."""

    path: Path
    format: Format
    text: str | None
    has_bom: bool = False
    mode: int | None = None
    hard_links: int = 1
    owner: int | None = None

    @property
    def is_blank(self) -> bool:
        return not (self.text or "").strip()

    @property
    def settings_text(self) -> str:
        """The text to edit. A missing or empty file means no settings."""
        return self.format.blank if self.text is None or self.is_blank else self.text

    @property
    def data(self) -> bytes | None:
        return None if self.text is None else encode(self.text, has_bom=self.has_bom)


def encode(text: str, *, has_bom: bool) -> bytes:
    return (codecs.BOM_UTF8 if has_bom else b"") + text.encode()


def read_settings(path: Path, form: Format) -> Content:
    """Read the file at ``path``.

    Raises:
        ClientFileRefused: it can't be read, or can't be edited safely.
    """
    with _explained(path, "read"):
        real = path.resolve()
        try:
            status = real.stat()
        except FileNotFoundError:
            return Content(real, form, None)
        if not stat.S_ISREG(status.st_mode):
            raise ClientFileRefused(f"{path} is not a regular file. Move it away, then try again.")
        if status.st_size > bounds.CLIENT_FILE_BYTES:
            raise ClientFileRefused(
                f"{path} is larger than {bounds.CLIENT_FILE_BYTES >> 20} MiB, too large for a settings file."
            )
        data = real.read_bytes()
    has_bom = data.startswith(codecs.BOM_UTF8)
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise ClientFileRefused(f"{path} is not UTF-8 text. Save it as UTF-8, then try again.") from None
    content = Content(real, form, text, has_bom, stat.S_IMODE(status.st_mode), status.st_nlink, status.st_uid)
    _check_text(path, content)
    return content


def _check_text(path: Path, content: Content) -> None:
    try:
        content.format.check(content.settings_text)
    except ValueError as wrong:
        raise ClientFileRefused(
            f"{path} can't be edited: {wrong}. {content.format.broken_hint} Fix the file, then try again."
        ) from None


def check_writable(content: Content) -> None:
    """Check what an edit would ignore: it renames a new file into place, whatever the old one's mode and links.

    Raises:
        ClientFileRefused
    """
    if content.mode is None:
        return
    problem = None
    if not content.mode & stat.S_IWUSR:
        problem = "is read-only and was not changed. Allow writing with `chmod u+w`"
    elif content.owner != os.geteuid():
        problem = f"belongs to another user (uid {content.owner}) and was not changed. Change it as that user"
    elif content.hard_links > 1:
        problem = f"has {content.hard_links} hard links, which an edit would separate. Replace them with symbolic links"
    if problem:
        raise ClientFileRefused(f"{content.path} {problem}{content.format.read_only_hint}.")


def replace(content: Content, data: bytes | None, mode: int | None = None) -> None:
    """Replace the file with ``data``, or delete it if that is None. Its mode is 0600 unless ``mode`` is given.

    Raises:
        ClientFileRefused: it can't be written, or has changed since it was read. It is unchanged.
    """
    with _explained(content.path, "written"):
        if _read(content.path) != content.data:
            raise ClientFileRefused(f"{content.path} has just been changed by another program. Try again.")
        if data is None:
            content.path.unlink(missing_ok=True)
            sync_folder(content.path.parent)
            return
        if not content.path.parent.is_dir():
            content.path.parent.mkdir(mode=0o700, parents=True)
        write_atomic(content.path, data, PRIVATE if mode is None else mode)


def name_backup(content: Content) -> Path:
    """An unused path for a copy of the file."""
    return unused_name(content.path.with_name(content.path.name + BACKUP_ENDING))


def back_up(content: Content, backup: Path) -> None:
    """Copy the file, which must exist, to ``backup`` with mode 0600.

    Raises:
        ClientFileRefused
    """
    with _explained(backup, "written"):
        write_atomic(backup, content.data or b"")


def tidy(content: Content) -> None:
    """Delete half-written files that a killed daemon left next to the file: they may hold codexd's key."""
    with suppress(OSError):
        for name in (content.path.name, content.path.name + BACKUP_ENDING):
            delete_leftovers(content.path.parent, name)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _explained(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ClientFileRefused(f"{path} can't be {done}: {reason}. Nothing was changed.") from None
