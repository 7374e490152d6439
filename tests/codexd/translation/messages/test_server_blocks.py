"""Blocks of server tools in a history."""

import pytest
from support.bodies import (
    input_of,
    item,
    text,
)

FAILED_SEARCH = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
MCP_BLOCKS = [
    {"type": "mcp_tool_use", "id": "m", "name": "send", "server_name": "mail", "input": {"to": "x"}},
    {"type": "mcp_tool_result", "tool_use_id": "m", "content": [text("sent")]},
]
SERVED = [
    (
        "web_fetch_tool_result",
        {
            "type": "web_fetch_result",
            "url": "https://example.com",
            "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        },
        "[Fetched page]\nhttps://example.com\nwords",
    ),
    (
        "bash_code_execution_tool_result",
        {"type": "bash_code_execution_result", "stdout": "out", "stderr": "err", "return_code": 1, "content": []},
        "[Result of code execution]\nout\nerr",
    ),
    (
        "code_execution_tool_result",
        {"type": "encrypted_code_execution_result", "encrypted_stdout": "zzz", "stderr": "", "content": []},
        "[Result of code execution: nothing]",
    ),
    (
        "tool_search_tool_result",
        {
            "type": "tool_search_tool_search_result",
            "tool_references": [{"type": "tool_reference", "tool_name": "Mail"}],
        },
        "[Tools found]\nMail",
    ),
    ("advisor_tool_result", {"type": "advisor_result", "text": "Think."}, "[Advice]\nThink."),
]


def search(block_id="srvtoolu_ws_1"):
    return {"type": "server_tool_use", "id": block_id, "name": "web_search", "input": {"query": "q"}}


def links(block_id="srvtoolu_ws_1"):
    found = {"type": "web_search_result", "title": "t", "url": "https://example.com", "encrypted_content": "zzz"}
    return {"type": "web_search_tool_result", "tool_use_id": block_id, "content": [found]}


@pytest.mark.parametrize(
    ("messages", "items"),
    [
        pytest.param(
            [("user", "a"), ("assistant", [search(), links(), text("b")]), ("user", "c")],
            [
                item("user", "a"),
                {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
                item("assistant", "b"),
                item("user", "c"),
            ],
            id="own-search",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [search("srvtoolu_01"), links("srvtoolu_01")]), ("user", "c")],
            [
                item("user", "a"),
                item(
                    "assistant",
                    '[Called web_search with {"query":"q"}]',
                    "[Web search results]\nt\nhttps://example.com",
                ),
                item("user", "c"),
            ],
            id="own-search-foreign",
        ),
        pytest.param(
            [("user", "a"), ("assistant", [search(), {**links(), "content": FAILED_SEARCH}]), ("user", "c")],
            [
                item("user", "a"),
                {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
                item("assistant", "[Web search results: failed, max_uses_exceeded]"),
                item("user", "c"),
            ],
            id="own-search-failed",
        ),
        pytest.param(
            [("user", "a"), ("assistant", MCP_BLOCKS), ("user", "b")],
            [
                item("user", "a"),
                item("assistant", '[Called mail/send with {"to":"x"}]', "[Result of the MCP tool]\nsent"),
                item("user", "b"),
            ],
            id="server-blocks",
        ),
        *(
            pytest.param(
                [("user", "a"), ("assistant", [{"type": kind, "tool_use_id": "s", "content": content}]), ("user", "b")],
                [item("user", "a"), item("assistant", words), item("user", "b")],
                id=f"server-blocks-{kind}",
            )
            for kind, content, words in SERVED
        ),
    ],
)
def test_server_blocks_go_back_as_searches_or_as_text(messages, items):
    assert input_of(*messages) == items
