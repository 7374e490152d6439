"""The settings of a running daemon: the ones in effect, the ones that are set, and the file.

Code that needs a setting reads ``LiveSettings.current`` each time. A broken file changes nothing: the last valid
settings stay in effect, and the file is not touched.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from attrs import evolve, field, frozen

from codexd.errors import CodexdError, FileUnreadable, FileUnwritable, SettingInvalid
from codexd.files import DISK_FULL, delete_leftovers, find_remedy, make_private_folder, write_atomic
from codexd.settings.edit import set_value, unset_value
from codexd.settings.load import Document, Loaded, find_entry, find_setting, load
from codexd.settings.schema import SCHEMA, Settings, is_loopback, replace_values

log = logging.getLogger("codexd.settings")

OnChange = Callable[[Settings, Settings], None]
"""Called with the settings before and after a change."""


@frozen
class Change:
    """A setting whose value has changed."""

    name: str
    before: Any = field(repr=False)
    after: Any = field(repr=False)


class LiveSettings:
    """``current`` is in effect, ``loaded`` is what is set; they differ in settings that need a restart.

    ``problem`` says why the last reload of the file failed, until a reload succeeds.
    """

    def __init__(self, file: Path, loaded: Loaded, *, environ: Mapping[str, str], flags: Mapping[str, Any]) -> None:
        self.file = file
        self.loaded = loaded
        self.current = loaded.settings
        self.problem: str | None = None
        self._environ = environ
        self._flags = flags
        self._pinned: dict[str, tuple[Any, str]] = {}
        self._listeners: list[OnChange] = []

    @classmethod
    def open(cls, file: Path, *, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Self:
        """Load the settings from ``file``, the environment and the command line.

        Raises:
            SettingInvalid, FileUnreadable
        """
        loaded = load(Document.parse(_read_text(file)), file=str(file), environ=environ, flags=flags)
        return cls(file, loaded, environ=environ, flags=flags)

    def pin(self, values: Mapping[str, Any], source: str) -> None:
        """Use these ``values`` regardless of what is set. ``source`` says why."""
        self._pinned |= {name: (value, source) for name, value in values.items()}
        self.loaded = self._apply_pins(self.loaded)
        self.current = replace_values(self.current, values)

    def on_change(self, listener: OnChange) -> None:
        """Call ``listener`` after each change of ``current``."""
        self._listeners.append(listener)

    def is_fixed(self, name: str) -> bool:
        """Whether ``name`` is set by the environment or the command line, so that the file can't change it."""
        return self.loaded.sources.get(name, str(self.file)) != str(self.file)

    def is_pending(self, name: str) -> bool:
        """Whether ``name`` has been changed since the start and needs a restart to take effect."""
        item = find_setting(name)
        return bool(item.read(self.current) != item.read(self.loaded.settings))

    # -- the file ---------------------------------------------------------------------------------

    def read_text(self) -> str:
        """The text of the settings file; empty if there is none.

        Raises:
            FileUnreadable
        """
        return _read_text(self.file)

    def check(self, text: str) -> None:
        """Check whether ``text`` is a valid settings file.

        Raises:
            SettingInvalid: lists everything that is wrong with it.
        """
        self._load(Document.parse(text))

    def reload(self) -> tuple[Change, ...]:
        """Read the settings file again; return what changed.

        Raises:
            SettingInvalid, FileUnreadable: the file is broken; nothing was changed.
        """
        try:
            loaded = self._load(self._read())
        except CodexdError as error:
            self.problem = str(error)
            raise
        return self._take(loaded)

    def set(self, name: str, value: Any) -> tuple[Change, ...]:
        """Set ``name`` in the file. Manual changes to the file take effect too.

        Raises:
            SettingInvalid: an unknown name, a bad value, a setting that the file can't change, or a broken file.
            FileUnreadable, FileUnwritable
        """
        self._check_settable(name)
        found = self._read()
        return self._put(set_value(found, name, value), found)

    def unset(self, name: str) -> tuple[Change, ...]:
        """Remove ``name`` from the file, so that its default applies. Raises what ``set`` raises."""
        self._check_settable(name)
        found = self._read()
        return self._put(unset_value(found, name), found)

    def replace(self, text: str, *, before: str) -> tuple[Change, ...]:
        """Replace the settings file, which must still be ``before``, with ``text``. Raises what ``set`` raises."""
        found = self._read()
        if found.text != before:
            raise SettingInvalid(f"{self.file} was changed by another program in the meantime; edit it again")
        return self._put(Document.parse(text), found)

    def _check_settable(self, name: str) -> None:
        item, _ = find_entry(name)
        if self.is_fixed(item.name):
            option = item.name.rpartition(".")[2]
            remedy = (
                f"Change it with `codexctl service install --{option} {option.upper()}`"
                if item.name in self._pinned
                else "Change it there, or start codexd without it"
            )
            raise SettingInvalid(
                f"{item.name} is fixed by {self.loaded.sources[item.name]}, which takes precedence over the settings "
                f"file. {remedy}."
            )

    def _read(self) -> Document:
        """The settings file. It is not parsed again if it has not changed since it was loaded."""
        text = self.read_text()
        known = self.loaded.document
        return known if text == known.text else Document.parse(text)

    def _put(self, document: Document, found: Document) -> tuple[Change, ...]:
        """Check ``document``, write it in place of ``found``, and put it into effect."""
        loaded = self._load(document)
        if document.text != found.text:
            self._write(_encode(document.text))
        return self._take(loaded)

    def _write(self, data: bytes) -> None:
        try:
            if self.file.exists() and not self.file.stat().st_mode & stat.S_IWUSR:
                raise FileUnwritable(f"{self.file} is read-only; nothing was changed. Allow writing with `chmod u+w`.")
            make_private_folder(self.file.parent)
            delete_leftovers(self.file.parent, self.file.name)
            write_atomic(self.file.resolve(), data)  # a symlink stays a symlink
        except OSError as error:
            managed = "If another program manages this file, change it there and run `codexctl reload`."
            advice = find_remedy(error) if error.errno in DISK_FULL else managed
            raise FileUnwritable(
                f"{self.file} can't be written ({error.strerror or error}); nothing was changed. {advice}"
            ) from error

    # -- what is in effect ------------------------------------------------------------------------

    def _load(self, document: Document) -> Loaded:
        loaded = load(document, file=str(self.file), environ=self._environ, flags=self._flags)
        loaded = self._apply_pins(loaded)
        running = self._hold(loaded.settings)
        if running.server.api_key is None and not is_loopback(running.server.host):
            raise SettingInvalid(
                f"server.api_key: codexd still listens on {running.server.host}, where other machines could use your "
                "account. Restart it on 127.0.0.1 before you remove the key"
            )
        return loaded

    def _apply_pins(self, loaded: Loaded) -> Loaded:
        values = {name: value for name, (value, _) in self._pinned.items()}
        sources = {name: source for name, (_, source) in self._pinned.items()}
        return evolve(loaded, settings=replace_values(loaded.settings, values), sources={**loaded.sources, **sources})

    def _hold(self, settings: Settings) -> Settings:
        """``settings``, but with the current values of the settings that need a restart."""
        return replace_values(
            settings, {item.name: item.read(self.current) for item in SCHEMA.values() if item.restart_needed}
        )

    def _take(self, loaded: Loaded) -> tuple[Change, ...]:
        was, before = self.loaded, self.current
        self.loaded, self.current, self.problem = loaded, self._hold(loaded.settings), None
        changes = tuple(
            Change(item.name, item.read(was.settings), item.read(loaded.settings))
            for item in SCHEMA.values()
            if item.read(was.settings) != item.read(loaded.settings)
        )
        if changes:
            log.info("settings changed: %s", ", ".join(change.name for change in changes))
        if self.current != before:
            for listener in self._listeners:
                listener(before, self.current)
        return changes


def _read_text(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for its writer
            raise FileUnreadable(f"{file} is not a regular file; move it away")
        return file.read_bytes().decode("utf-8-sig")  # read_text would change its line ends; an editor may add a BOM
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileUnreadable(f"{file} can't be read ({reason}); fix it or move it away") from error


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as wrong:  # JSON can hold half a surrogate pair
        raise SettingInvalid(f"this can't be written to the settings file: {wrong.reason}") from None
