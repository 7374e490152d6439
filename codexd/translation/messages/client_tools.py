"""Anthropic's typed client tools as functions. The client runs them, so all that the backend needs is a schema.

Anthropic's models know these schemas from their training, so requests don't contain them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import frozen


@frozen
class ClientTool:
    """The description and the schema of a typed tool, as the model sees them."""

    description: str
    parameters: Mapping[str, Any]


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _integer(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _command(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names), "description": "What to do."}


_VIEW_RANGE = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "For view of a file: the first and the last line, from 1; -1 is the end of the file.",
}
_EDITS = {
    "old_str": _text("For str_replace: the text to replace, which must occur exactly once."),
    "new_str": _text("For str_replace: the text that replaces it."),
    "insert_line": _integer("For insert: the line after which the text goes; 0 is the beginning of the file."),
    "file_text": _text("For create: the content of the file."),
    "view_range": _VIEW_RANGE,
}


def _editor(*extra_commands: str) -> ClientTool:
    properties = {
        "command": _command("view", "create", "str_replace", "insert", *extra_commands),
        "path": _text("Absolute path of the file or directory."),
        **_EDITS,
        "insert_text": _text("For insert: the text that goes in."),
    }
    if extra_commands:  # only the older versions have extra commands, and they use new_str for insert too
        del properties["insert_text"]
        properties["new_str"] = _text("For str_replace: the text that replaces it. For insert: the text that goes in.")
    return ClientTool("View, create and edit text files.", _schema(properties, "command", "path"))


_TOOLS: Mapping[str, ClientTool] = {
    "bash_*": ClientTool(
        "Run a command in a bash shell that stays open between calls.",
        _schema(
            {
                "command": _text("The command to run. Required unless the shell is being restarted."),
                "restart": {"type": "boolean", "description": "Restart the shell instead of running a command."},
            }
        ),
    ),
    "text_editor_20241022": _editor("undo_edit"),
    "text_editor_20250124": _editor("undo_edit"),
    "text_editor_*": _editor(),
    "memory_*": ClientTool(
        "Keep notes for later conversations in files under /memories. Look there before you start a task.",
        _schema(
            {
                "command": _command("view", "create", "str_replace", "insert", "delete", "rename"),
                "path": _text("Path under /memories, for every command but rename."),
                **_EDITS,
                "insert_text": _text("For insert: the text that goes in."),
                "old_path": _text("For rename: the path now."),
                "new_path": _text("For rename: the path from now on."),
            },
            "command",
        ),
    ),
}


def find_client_tool(kind: str) -> ClientTool | None:
    """The tool of this type, such as ``bash_20250124``; None if clients don't run such a tool."""
    return next((tool for glob, tool in _TOOLS.items() if fnmatchcase(kind, glob)), None)
