"""The settings of a running daemon: what holds now, what is set, and the file between them.

Whoever needs a setting reads ``LiveSettings.current`` each time. A file that is broken changes nothing: the last
good settings hold, and the file stays as it is.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from attrs import evolve, field, frozen

from codexd.errors import CodexdError, FileUnreadable, FileUnwritable, SettingInvalid
from codexd.files import delete_leftovers, make_private_folder, write_atomic
from codexd.settings.edit import set_in_text, unset_in_text
from codexd.settings.load import Loaded, find_setting, load
from codexd.settings.schema import SCHEMA, Settings, is_loopback, replace_values

log = logging.getLogger("codexd.settings")

OnChange = Callable[[Settings, Settings], None]
"""Told what held before and what holds now."""


@frozen
class Change:
    """A setting that is set otherwise now."""

    name: str
    before: Any = field(repr=False)
    after: Any = field(repr=False)


class LiveSettings:
    """``current`` is what the daemon runs on, ``loaded`` what is set; they differ in what only a restart changes.

    ``problem`` says why the file could not be read again, as long as that is so.
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
        """The settings of ``file``, of the environment and of the command line.

        Raises:
            SettingInvalid, FileUnreadable
        """
        text = _read_text(file)
        return cls(file, load(toml=text, file=str(file), environ=environ, flags=flags), environ=environ, flags=flags)

    def pin(self, values: Mapping[str, Any], source: str) -> None:
        """Run on these ``values`` from the start on, whatever is set: ``source`` says why."""
        self._pinned |= {name: (value, source) for name, value in values.items()}
        self.loaded = self._apply_pins(self.loaded)
        self.current = replace_values(self.current, values)

    def on_change(self, listener: OnChange) -> None:
        """Call ``listener`` after each change of ``current``."""
        self._listeners.append(listener)

    def is_fixed(self, name: str) -> bool:
        """Whether the environment or the command line sets ``name``, which the file can't change."""
        return self.loaded.sources.get(name, str(self.file)) != str(self.file)

    def is_pending(self, name: str) -> bool:
        """Whether ``name`` was set otherwise since the start, and needs a restart to take effect."""
        item = find_setting(name)
        return bool(item.read(self.current) != item.read(self.loaded.settings))

    # -- the file ---------------------------------------------------------------------------------

    def read_text(self) -> str:
        """The text of the settings file; empty where there is none.

        Raises:
            FileUnreadable
        """
        return _read_text(self.file)

    def check(self, text: str) -> None:
        """See whether ``text`` can be the settings file.

        Raises:
            SettingInvalid: lists all that is wrong with it.
        """
        self._load(text)

    def reload(self) -> tuple[Change, ...]:
        """Read the settings file again; gives what changed.

        Raises:
            SettingInvalid, FileUnreadable: it is broken, and everything stays as it was.
        """
        try:
            loaded = self._load(self.read_text())
        except CodexdError as error:
            self.problem = str(error)
            raise
        return self._take(loaded)

    def set(self, name: str, value: Any) -> tuple[Change, ...]:
        """Set ``name`` in the file. What was changed in the file by hand takes effect with it.

        Raises:
            SettingInvalid: an unknown name, a bad value, a value that the file can't change, or a broken file.
            FileUnreadable, FileUnwritable
        """
        self._check_settable(name)
        return self._edit(lambda text: set_in_text(text, name, value))

    def unset(self, name: str) -> tuple[Change, ...]:
        """Take ``name`` out of the file, which leaves it at its default. Raises as ``set`` does."""
        self._check_settable(name)
        return self._edit(lambda text: unset_in_text(text, name))

    def replace(self, text: str, *, before: str) -> tuple[Change, ...]:
        """Make ``text`` the settings file, which must still be ``before``. Raises as ``set`` does."""

        def swap(found: str) -> str:
            if found != before:
                raise SettingInvalid(f"{self.file} was changed by another program in the meantime; edit it again")
            return text

        return self._edit(swap)

    def _check_settable(self, name: str) -> None:
        find_setting(name)
        if self.is_fixed(name):
            raise SettingInvalid(
                f"{name} is fixed by {self.loaded.sources[name]}, which goes before the settings file. "
                "Change it there, or start codexd without it."
            )

    def _edit(self, edit: Callable[[str], str]) -> tuple[Change, ...]:
        before = self.read_text()
        after = edit(before)
        loaded = self._load(after)
        if after != before:
            self._write(_encode(after))
        return self._take(loaded)

    def _write(self, data: bytes) -> None:
        try:
            if self.file.exists() and not self.file.stat().st_mode & stat.S_IWUSR:
                raise FileUnwritable(f"{self.file} is read-only; nothing was changed. Allow writing with `chmod u+w`.")
            make_private_folder(self.file.parent)
            delete_leftovers(self.file.parent, self.file.name)
            write_atomic(self.file.resolve(), data)  # a link to where the user keeps it stays a link
        except OSError as error:
            raise FileUnwritable(
                f"{self.file} can't be written ({error.strerror or error}); nothing was changed. "
                "If another program manages this file, change it there and run `codexctl reload`."
            ) from error

    # -- what holds -------------------------------------------------------------------------------

    def _load(self, text: str) -> Loaded:
        loaded = load(toml=text, file=str(self.file), environ=self._environ, flags=self._flags)
        loaded = self._apply_pins(loaded)
        running = self._hold(loaded.settings)
        if running.server.api_key is None and not is_loopback(running.server.host):
            raise SettingInvalid(
                f"server.api_key: codexd still listens on {running.server.host}, where other machines could use your "
                "account; restart it on 127.0.0.1 before the key goes"
            )
        return loaded

    def _apply_pins(self, loaded: Loaded) -> Loaded:
        values = {name: value for name, (value, _) in self._pinned.items()}
        sources = {name: source for name, (_, source) in self._pinned.items()}
        return evolve(loaded, settings=replace_values(loaded.settings, values), sources={**loaded.sources, **sources})

    def _hold(self, settings: Settings) -> Settings:
        """``settings``, but as it runs where only a restart changes it."""
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
            raise FileUnreadable(f"{file} is no regular file; move it away")
        return file.read_bytes().decode()  # as it is: reading it as text would change its line ends
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{file}: can't be read ({error}); mend it or move it away") from error


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as wrong:  # JSON can carry half a surrogate pair
        raise SettingInvalid(f"this can't be written to the settings file: {wrong.reason}") from None
