"""Blocks of server tools in a history. The backend has none of Anthropic's server tools.

codexd's own web searches go back as the backend's items. All other blocks become a short text of their useful parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from codexd import jsontext
from codexd.translation.reading.fields import Fields

OUR_SEARCH = "srvtoolu_ws_"
"""The id prefix of codexd's own web searches: Anthropic's prefix for server tools, then the backend's for searches."""

_HEADINGS: Mapping[str, str] = {
    "web_search_tool_result": "Web search results",
    "web_fetch_tool_result": "Fetched page",
    "code_execution_tool_result": "Result of code execution",
    "bash_code_execution_tool_result": "Result of code execution",
    "text_editor_code_execution_tool_result": "Result of a file edit",
    "tool_search_tool_result": "Tools found",
    "advisor_tool_result": "Advice",
    "mcp_tool_result": "Result of the MCP tool",
    "mcp_tool_listing": "MCP tools",
    "browser_state": "Browser",
}
_USEFUL = (
    "error_code",
    "error_message",
    "mcp_server_name",
    "name",
    "tool_name",
    "title",
    "url",
    "path",
    "text",
    "data",
    "stdout",
    "stderr",
    "content",
    "lines",
    "source",
    "tool_references",
    "tools",
    "tabs",
    "state_changes",
    "error",
)


def to_search_item(block: Fields) -> dict[str, Any] | None:
    """The backend's item for a ``server_tool_use`` that codexd made from such an item; None for any other block."""
    given = block.get("input")
    query = given.get("query") if isinstance(given, dict) else None
    if not str(block.get("id")).startswith(OUR_SEARCH) or not isinstance(query, str) or not query:
        return None
    return {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": query}}


def is_our_result(block: Fields) -> bool:
    """Whether the block lists the links of codexd's own search, whose item replaces it; False for an error."""
    return str(block.get("tool_use_id")).startswith(OUR_SEARCH) and isinstance(block.get("content"), list)


def to_text(block: Fields) -> str | None:
    """A server tool's block as text; None for a block of another type."""
    kind = block.get("type")
    if kind in ("server_tool_use", "mcp_tool_use"):
        names = [name for key in ("server_name", "name") if isinstance(name := block.get(key), str)]
        return f"[Called {'/'.join(names) or 'a tool'} with {jsontext.dumps_text(block.get('input') or {})}]"
    heading = _HEADINGS.get(str(kind))
    if heading is None:
        return None
    content = block.get("content")
    if isinstance(content, dict) and isinstance(content.get("error_code"), str):
        return f"[{heading}: failed, {content['error_code']}]"
    found = "\n".join(text for text in _find_texts(block.value) if text.strip())
    return f"[{heading}]\n{found}" if found else f"[{heading}: nothing]"


def _find_texts(value: Any) -> Iterator[str]:
    """The texts under the names in ``_USEFUL``, in their order. Base64 and ciphertext are left out."""
    if isinstance(value, str):
        yield value
    for child in value if isinstance(value, list) else ():
        yield from _find_texts(child)
    if isinstance(value, dict) and value.get("type") != "base64":
        for name in _USEFUL:
            yield from _find_texts(value.get(name))
