"""``codexctl settings``."""

from __future__ import annotations

import sys
from typing import Any

from codexctl.command import EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.render import settings as render_settings
from codexctl.terminal import has_input_terminal, prompt


def _list_settings(invocation: Invocation) -> None:
    invocation.show(invocation.call("settings.list"), render_settings.settings)


def _get_setting(invocation: Invocation) -> None:
    params = {"name": invocation.arguments.setting}
    invocation.show(invocation.call("settings.get", params), render_settings.setting)


def _set_setting(invocation: Invocation) -> None:
    given = invocation.arguments
    text = given.value
    if text in (None, "-"):
        text = _ask_value(invocation) if has_input_terminal() else _read_input(text)
        if not text:
            raise Stop(EXIT_USAGE, "no value was given, so nothing was changed. An empty value is written as ''.")
    params = {"name": given.setting, "value": _read_value(text)}
    invocation.show(invocation.call("settings.set", params), render_settings.was_set)


def _unset_setting(invocation: Invocation) -> None:
    params = {"name": invocation.arguments.setting}
    invocation.show(invocation.call("settings.unset", params), render_settings.was_unset)


def _read_input(text: str | None) -> str:
    if text is None:
        raise Stop(EXIT_USAGE, "the value is missing. Write - to read it from standard input.")
    return sys.stdin.buffer.read().decode(errors="replace").strip("\r\n")


def _ask_value(invocation: Invocation) -> str:
    """What the user types; if the setting is a secret, it is not shown."""
    setting = invocation.call("settings.get", {"name": invocation.arguments.setting})
    question = f"{setting['name']}: "
    if not setting["secret"]:
        prompt(question)
        return sys.stdin.readline().strip()
    import getpass  # noqa: PLC0415 - as tomllib

    return getpass.getpass(question, sys.stderr)


def _read_value(text: str) -> Any:
    """Parse a TOML list or table. The daemon parses any other text by the setting's type."""
    if not text.startswith(("[", "{")):
        return text
    import tomllib  # noqa: PLC0415 - the other commands start faster without

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as wrong:
        raise Stop(
            EXIT_USAGE, f"{text} is not a TOML list or table ({wrong}). Lists can be written as a,b,c."
        ) from None


def _edit_settings(invocation: Invocation) -> None:
    from codexctl.commands.editor import edit_settings  # noqa: PLC0415 - as tomllib

    edit_settings(invocation)


_SETTING = argument(
    "setting",
    metavar="NAME",
    help="name of a setting, such as models.opus, or one key of a table, such as models.aliases.fast; `codexctl "
    "settings` lists them",
    values=Values.SETTINGS,
)
_VALUE = argument(
    "value",
    nargs="?",
    metavar="VALUE",
    help="the new value; write lists as a,b,c, tables as x=y,z=w (or both in TOML syntax), and times as 90s or 5m; - "
    "reads it from standard input, and without it codexctl asks, hiding what you type if it is a secret",
    values=Values.SETTING_VALUES,
)

COMMANDS = (
    Command(
        ("settings",), "List settings, or change them", "codexctl settings\ncodexctl settings --json", _list_settings
    ),
    Command(
        ("settings", "list"),
        "List settings and where each value comes from",
        "codexctl settings list\ncodexctl settings list --json",
        _list_settings,
    ),
    Command(
        ("settings", "get"),
        "Show one setting",
        "codexctl settings get server.port\ncodexctl settings get models.aliases.fast",
        _get_setting,
        (_SETTING,),
        details="In a pipe, prints only the value, even if it is an API key.",
    ),
    Command(
        ("settings", "set"),
        "Change a setting in the settings file",
        "codexctl settings set models.opus gpt-6.1-sol,gpt-5.5\n"
        "codexctl settings set models.aliases.fast gpt-6-luna\n"
        "codexctl settings set upstream.idle_timeout 5m\n"
        "codexctl settings set server.api_key -",
        _set_setting,
        (_SETTING, _VALUE),
        details="The change takes effect at once; if it needs a restart, codexctl says so.",
    ),
    Command(
        ("settings", "unset"),
        "Remove a setting from the settings file, so that its default applies",
        "codexctl settings unset models.opus\ncodexctl settings unset models.aliases.fast",
        _unset_setting,
        (_SETTING,),
    ),
    Command(
        ("settings", "edit"),
        "Edit the settings file in $VISUAL or $EDITOR",
        "codexctl settings edit\nEDITOR=nano codexctl settings edit",
        _edit_settings,
        details="The file is checked before it takes effect; if it is not valid, you can edit it again.",
    ),
)
