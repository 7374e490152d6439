"""Anthropic's typed client tools."""

import pytest

from codexd.translation.messages.tools import read_tools, to_tools
from codexd.translation.reading.fields import Fields


def body(*tools, **fields):
    return Fields({"tools": list(tools), "messages": [], **fields}, "")


def translate(*tools, **fields):
    return to_tools(read_tools(body(*tools, **fields)))


@pytest.mark.parametrize(
    ("kind", "name", "properties"),
    [
        ("bash_20250124", "bash", {"command", "restart"}),
        (
            "text_editor_20250728",
            "str_replace_based_edit_tool",
            {"command", "path", "old_str", "new_str", "insert_line", "insert_text", "file_text", "view_range"},
        ),
        (
            "text_editor_20250124",
            "str_replace_editor",
            {"command", "path", "old_str", "new_str", "insert_line", "file_text", "view_range"},
        ),
        (
            "memory_20250818",
            "memory",
            {
                *("command", "path", "old_str", "new_str", "insert_line", "insert_text", "file_text", "view_range"),
                *("old_path", "new_path"),
            },
        ),
    ],
)
def test_typed_client_tools_are_functions(kind, name, properties):
    (given,) = translate({"type": kind, "name": name})
    assert (given["type"], given["name"], given["strict"]) == ("function", name, False)
    assert set(given["parameters"]["properties"]) == properties
    assert given["description"]
