"""``settings.*``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve

from codexd.api import settings as api
from codexd.api.rules import NoParams
from codexd.control.method import Call, Control, method
from codexd.errors import FileUnreadable, FileUnwritable, SettingInvalid
from codexd.settings.edit import make_template
from codexd.settings.live import Change, LiveSettings
from codexd.settings.load import find_entry
from codexd.settings.schema import DEFAULTS, SCHEMA, Setting
from codexd.translation.kilo.models import KILO
from codexd.translation.models.catalogue import BUILT_IN

EDIT_ERRORS = (SettingInvalid, FileUnreadable, FileUnwritable)
OPUS_EXAMPLE = {"name": "models.opus"}

MODELS_ADVICE = "`codexctl models` lists those that your account is offered."

SECRET_SHOWN = "set"  # noqa: S105 - shown in place of a secret

_TYPES: Mapping[Any, str] = MappingProxyType(
    {
        str: "string",
        str | None: "string",
        int: "integer",
        float: "number",
        bool: "boolean",
        tuple[str, ...]: "names",
        Mapping[str, str]: "table",
    }
)


@method("settings.list")
async def list_settings(call: Call, _params: NoParams) -> api.SettingsList:
    """Every setting, its value and where that comes from."""
    live = call.control.live
    return api.SettingsList(tuple(_info(live, item) for item in SCHEMA.values()), str(live.file), live.problem)


@method("settings.get", example=OPUS_EXAMPLE, errors=(SettingInvalid,))
async def get_setting(call: Call, params: api.SettingName) -> api.SettingInfo:
    """One setting, a secret too."""
    return _info_of(call.control.live, params.name, reveal=True)


@method("settings.set", example={**OPUS_EXAMPLE, "value": ["gpt-6.1-sol", "gpt-5.5"]}, errors=EDIT_ERRORS)
async def set_setting(call: Call, params: api.SettingValue) -> api.SettingInfo:
    """Set a setting in the settings file."""
    call.control.live.set(params.name, params.value)
    info = _info_of(call.control.live, params.name)
    return evolve(info, warnings=tuple(_doubts(call.control, params.name, info.value)))


@method("settings.unset", example=OPUS_EXAMPLE, errors=EDIT_ERRORS)
async def unset_setting(call: Call, params: api.SettingName) -> api.SettingInfo:
    """Take a setting out of the settings file."""
    call.control.live.unset(params.name)
    return _info_of(call.control.live, params.name)


@method("settings.read", errors=(FileUnreadable,))
async def read_file(call: Call, _params: NoParams) -> api.SettingsFile:
    """The settings file, to be edited."""
    live = call.control.live
    return api.SettingsFile(str(live.file), live.read_text(), make_template())


@method("settings.check", example={"text": "[log]\nlevel = 'loud'\n"})
async def check_text(call: Call, params: api.SettingsText) -> api.CheckedSettings:
    """What is wrong with a text as the settings file."""
    try:
        call.control.live.check(params.text)
    except SettingInvalid as wrong:
        return api.CheckedSettings(tuple(str(wrong).splitlines()))
    return api.CheckedSettings(())


@method("settings.write", example={"text": "[log]\nlevel = 'debug'\n", "before": ""}, errors=EDIT_ERRORS)
async def write_text(call: Call, params: api.SettingsWrite) -> api.ChangedSettings:
    """Put an edited text in the place of the settings file."""
    live = call.control.live
    return to_changed(live, live.replace(params.text, before=params.before))


def to_changed(live: LiveSettings, changes: Iterable[Change]) -> api.ChangedSettings:
    return api.ChangedSettings(tuple(_change(SCHEMA[change.name], change) for change in changes), str(live.file))


def _change(item: Setting, change: Change) -> api.SettingChange:
    return api.SettingChange(item.name, _show(item, change.before), _show(item, change.after), item.restart_needed)


def _info_of(live: LiveSettings, name: str, *, reveal: bool = False) -> api.SettingInfo:
    """The setting, or one key of a table.

    Raises:
        SettingInvalid: there is no such setting.
    """
    item, key = find_entry(name)
    info = _info(live, item, reveal=reveal)
    if key is None:
        return info
    return evolve(info, name=name, value=info.value.get(key), default=None, type="string")


def _doubts(control: Control, name: str, value: Any) -> Iterator[str]:
    """What is odd about the models that a setting names: they may be misspelled, or not offered to the account."""
    item, _ = find_entry(name)
    if not name.startswith("models.") or item.choices:
        return
    active = control.store.active
    catalogue = control.accounts.catalogues.of(active)
    models = list(value.values()) if isinstance(value, dict) else [value] if isinstance(value, str) else value
    known = {model.slug for model in (*catalogue.models, *BUILT_IN.models)}
    known.add(KILO)
    known |= {model for defaults in DEFAULTS.models.families.values() for model in defaults}
    unknown = [model for model in models if model not in known]
    for model in unknown:
        close = difflib.get_close_matches(model, known, n=1)
        yield f"{model} is not a known model. " + (f"Did you mean {close[0]}?" if close else MODELS_ADVICE)
    offered = [model for model in models if model == KILO or catalogue.find(model)]
    if active is not None and not (unknown or offered or catalogue.is_built_in):
        yield f"{active.label} is not offered {' or '.join(models)}. {MODELS_ADVICE}"


def _info(live: LiveSettings, item: Setting, *, reveal: bool = False) -> api.SettingInfo:
    value = item.read(live.loaded.settings)
    return api.SettingInfo(
        name=item.name,
        value=_plain(value) if reveal else _show(item, value),
        default=_plain(item.default),
        source=live.loaded.sources.get(item.name, "default"),
        set_in_file=item.name in live.loaded.in_file,
        fixed=live.is_fixed(item.name),
        type=_TYPES[item.type],
        unit=item.unit,
        choices=item.choices,
        environ=item.environ,
        meaning=item.meaning,
        secret=item.secret,
        restart_needed=item.restart_needed,
        restart_pending=live.is_pending(item.name),
    )


def _show(item: Setting, value: Any) -> Any:
    return SECRET_SHOWN if item.secret and value is not None else _plain(value)


def _plain(value: Any) -> Any:
    """``value`` as a plain JSON value."""
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


METHODS = (list_settings, get_setting, set_setting, unset_setting, read_file, check_text, write_text)
