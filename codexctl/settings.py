"""``codexctl settings``."""

from __future__ import annotations

from typing import Any

from codexctl.invocation import EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.render import settings as render_settings


def _list_settings(invocation: Invocation) -> None:
    invocation.show(invocation.call("settings.list"), render_settings.settings)


def _get_setting(invocation: Invocation) -> None:
    params = {"name": invocation.arguments.setting}
    invocation.show(invocation.call("settings.get", params), render_settings.setting)


def _set_setting(invocation: Invocation) -> None:
    given = invocation.arguments
    params = {"name": given.setting, "value": _read_value(given.value)}
    invocation.show(invocation.call("settings.set", params), render_settings.was_set)


def _unset_setting(invocation: Invocation) -> None:
    params = {"name": invocation.arguments.setting}
    invocation.show(invocation.call("settings.unset", params), render_settings.was_unset)


def _read_value(text: str) -> Any:
    """A list or a table as TOML has it; the daemon reads every other text by the setting's type."""
    if not text.startswith(("[", "{")):
        return text
    import tomllib  # noqa: PLC0415 - the commands that do without start faster

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as wrong:
        raise Stop(EXIT_USAGE, f"{text} is no TOML list or table ({wrong}). Lists can be given as a,b,c.") from None


def _edit_settings(invocation: Invocation) -> None:
    from codexctl.edit import edit_settings  # noqa: PLC0415 - as tomllib

    edit_settings(invocation)


_SETTING = argument(
    "setting",
    metavar="NAME",
    help="of the setting, such as models.opus; `codexctl settings` lists them",
    values=Values.SETTINGS,
)
_VALUE = argument(
    "value",
    metavar="VALUE",
    help="lists as a,b,c and tables as x=y,z=w, or as in TOML",
    values=Values.SETTING_VALUES,
)

SETTINGS_COMMANDS = (
    Command(("settings",), "List the settings, or work on them", "codexctl settings", _list_settings),
    Command(
        ("settings", "list"),
        "List the settings, with where each value comes from",
        "codexctl settings list --json",
        _list_settings,
    ),
    Command(
        ("settings", "get"),
        "Show one setting",
        "codexctl settings get server.port",
        _get_setting,
        (_SETTING,),
        details="In a pipe its value alone, an API key too.",
    ),
    Command(
        ("settings", "set"),
        "Set a setting in the settings file",
        "codexctl settings set models.opus gpt-6.1-sol,gpt-5.5",
        _set_setting,
        (_SETTING, _VALUE),
        details="It takes effect at once, or where that is not possible it is said.",
    ),
    Command(
        ("settings", "unset"),
        "Take a setting out of the settings file, which leaves it at its default",
        "codexctl settings unset models.opus",
        _unset_setting,
        (_SETTING,),
    ),
    Command(
        ("settings", "edit"),
        "Edit the settings file in $VISUAL or $EDITOR",
        "EDITOR=nano codexctl settings edit",
        _edit_settings,
        details="What was edited is checked before it takes effect, and can be edited again.",
    ),
)
