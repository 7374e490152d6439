"""What ``codexctl settings`` and ``reload`` print. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from codexctl.render.format import Json
from codexctl.render.table import Cell, table
from codexctl.render.text import Style, plain

PENDING = "takes effect when codexd restarts"


def value_text(value: Any) -> str:
    """A value in the form that ``settings set`` accepts."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return ",".join(plain(str(name)) for name in value)
        case Mapping():
            return ",".join(f"{plain(str(name))}={plain(str(to))}" for name, to in value.items())
    return plain(str(value))


def _with_unit(value: Any, item: Json) -> str:
    """``value`` of the setting ``item``, for people."""
    text = value_text(value)
    return f"{text} {plain(item['unit'])}" if text and item["unit"] else text


def settings(result: Json, style: Style) -> list[str]:
    """``settings.list``."""
    lines = table(("SETTING", "VALUE", "FROM"), (_row(item) for item in result["settings"]), style)
    if any(item["restart_pending"] for item in result["settings"]):
        lines.append(style.paint(f"* {PENDING}", "yellow"))
    lines += ["", f"File: {plain(result['file'])}"]
    if result["problem"]:
        lines += style.prose("Problem: the file is not valid, so the settings that codexd read earlier still apply:")
        lines += [line for text in result["problem"].splitlines() for line in style.prose(text, "  ")]
    return lines


def _row(item: Json) -> list[Cell]:
    is_default = item["source"] == "default"
    text = _with_unit(item["value"], item)
    pending = " *" if item["restart_pending"] else ""
    return [
        Cell([item["name"]]),
        Cell([text + pending], "yellow" if pending else "dim" if is_default else "bold"),
        Cell([_source(item)], "dim" if is_default else None),
    ]


def _source(item: Json) -> str:
    if item["source"] == "default" or item["fixed"]:
        return plain(item["source"])
    return PurePath(plain(item["source"])).name


def setting(result: Json, style: Style) -> list[str]:
    """``settings.get``: in a pipe only the value, on a terminal everything about the setting."""
    if style.width is None:
        return [value_text(result["value"])]
    lines = [f"{style.paint(result['name'], 'bold')} = {_with_unit(result['value'], result) or '(not set)'}"]
    lines += style.prose(f"{result['meaning']}.", "  ")
    facts = (
        ("from", result["source"]),
        ("default", _with_unit(result["default"], result) or "(not set)"),
        ("choices", ", ".join(result["choices"] or ())),
        ("variables", ", ".join(result["environ"])),
        ("a change", "takes effect at the next start" if result["restart_needed"] else "takes effect at once"),
    )
    lines += [f"  {name:9}  {plain(text)}" for name, text in facts if text]
    return lines + ([style.paint(f"  The value {PENDING}.", "yellow")] if result["restart_pending"] else [])


def was_set(result: Json, style: Style) -> list[str]:
    """``settings.set``."""
    what = "set" if result["secret"] else _with_unit(result["value"], result)
    doubts = [line for text in result["warnings"] for line in style.prose(f"Warning: {text}")]
    return [*_report(result, what, style), *(style.paint(line, "yellow") for line in doubts)]


def was_unset(result: Json, style: Style) -> list[str]:
    """``settings.unset``."""
    default = _with_unit(result["default"], result)
    what = f"at its default ({default})" if default else "not set"
    return _report(result, what, style)


def _report(result: Json, what: str, style: Style) -> list[str]:
    name = result["name"]
    if result["restart_pending"]:
        return style.prose(f"{name} is {what} in the settings file. The change {PENDING}.")
    return style.prose(f"{name} is now {what}.")


def changed(result: Json, style: Style) -> list[str]:
    """``daemon.reload`` and ``settings.write``."""
    if not result["changed"]:
        return style.prose("No setting changed.")
    lines = []
    for change in result["changed"]:
        before, after = (value_text(change[key]) or "(not set)" for key in ("before", "after"))
        if before == after:  # a secret
            after = "another value"
        lines.append(f"{style.paint(change['name'], 'bold')}: {before} -> {after}")
        if change["restart_needed"]:
            lines.append(style.paint(f"  {PENDING}", "yellow"))
    return lines


def problems(texts: Iterable[str], style: Style) -> list[str]:
    """``settings.check``."""
    return ["This is not a valid settings file:", *(line for text in texts for line in style.prose(text, "  "))]
