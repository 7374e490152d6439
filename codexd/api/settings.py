"""``settings.*``, and what ``daemon.reload`` answers."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from codexd.api.rules import filled


@frozen
class SettingName:
    """``name`` is dotted, such as ``server.port``, or one key of a table: ``models.aliases.fast``."""

    name: str = field(validator=filled)


@frozen
class SettingValue:
    """``value``: of the setting's own type, or a text that is read as one: ``8082``, ``yes``, ``a,b``, ``x=y,z=w``."""

    name: str = field(validator=filled)
    value: Any = field(repr=False)


@frozen
class SettingInfo:
    """A setting as it is set.

    ``source`` is ``default``, the path of the settings file, ``environment NAME`` or a flag of the command line; the
    last two make it ``fixed``: the settings file can't change it. ``type``: string, integer, number, boolean, names
    (a list) or table. ``environ``: the variables that set it, the one that wins first. A ``secret`` has the value
    "set" or null; only ``settings.get`` shows it. ``restart_needed``: a change takes effect at the next start;
    ``restart_pending``: one was made, and the daemon still runs on what was set before. ``warnings``: what
    ``settings.set`` noticed about a value that it took: sentences.
    """

    name: str
    value: Any = field(repr=False)
    default: Any
    source: str
    set_in_file: bool
    fixed: bool
    type: str
    unit: str | None
    choices: tuple[str, ...] | None
    environ: tuple[str, ...]
    meaning: str
    secret: bool
    restart_needed: bool
    restart_pending: bool
    warnings: tuple[str, ...] = ()


@frozen
class SettingsList:
    """``file``: the path of the settings file. ``problem``: why it could not be read again, if so."""

    settings: tuple[SettingInfo, ...]
    file: str
    problem: str | None


@frozen
class SettingsText:
    """The settings file as it is, or as it would be; it may hold the API key."""

    text: str = field(repr=False)


@frozen
class SettingsFile:
    """``text`` is empty where there is no file yet; ``template``: every setting with its meaning, commented out."""

    file: str
    text: str = field(repr=False)
    template: str


@frozen
class SettingsWrite:
    """``before``: the text that was edited; the file must still hold it."""

    text: str = field(repr=False)
    before: str = field(repr=False)


@frozen
class CheckedSettings:
    """``problems``: sentences; none when the text can be the settings file."""

    problems: tuple[str, ...]


@frozen
class SettingChange:
    """A setting that is set otherwise now; what is shown of a secret is "set" or null."""

    name: str
    before: Any
    after: Any
    restart_needed: bool


@frozen
class ChangedSettings:
    changed: tuple[SettingChange, ...]
    file: str
