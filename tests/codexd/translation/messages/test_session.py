"""Twenty recorded turns of Claude Code: each body for the backend continues the one before it."""

import itertools
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from support.bodies import check_accepted, check_prefix, thinking, translate

from codexd.jsontext import dumps

TRACE = Path(__file__).parents[3] / "traces" / "session" / "claude_code.json"
SEALED = re.compile(r"@SEALED:(\w+)@")
TURNS = 20


def read_requests():
    """The headers and body of each request, in order."""
    text = SEALED.sub(lambda found: thinking(found[1])["signature"], TRACE.read_text())
    trace = json.loads(text)
    values = trace["values"]
    for request in trace["requests"]:
        body = {
            **values[request["rest"]],
            "system": values[request["system"]],
            "tools": [values[index] for index in request["tools"]],
            "messages": [values[index] for index in request["messages"]],
        }
        yield values[request["headers"]], body


REQUESTS = list(read_requests())


def agent_of(headers):
    return headers.get("x-claude-code-agent-id", "main")


@pytest.fixture(scope="module")
def conversations():
    """The bodies for the backend, by the agent that asked."""
    found = defaultdict(list)
    for headers, body in REQUESTS:
        found[agent_of(headers)].append(translate(body, headers=headers))
    return found


@pytest.fixture(scope="module")
def bodies(conversations):
    return [body for conversation in conversations.values() for body in conversation]


def test_the_recording_is_what_it_says():
    main_loop = [body for headers, body in REQUESTS if agent_of(headers) == "main"]
    assert (len(main_loop), len(REQUESTS)) == (38, 40)
    results = [json.dumps(message["content"]) for message in main_loop[-1]["messages"] if message["role"] == "user"]
    assert sum(1 for content in results if "tool_result" not in content) == TURNS
    assert "cache_control" in json.dumps(REQUESTS)
    assert "x-anthropic-billing-header" in json.dumps(REQUESTS)


def test_what_was_sent_once_is_sent_again_byte_by_byte(conversations):
    for conversation in conversations.values():
        for earlier, later in itertools.pairwise(conversation):
            check_prefix(earlier, later)
            assert len(later["input"]) > len(earlier["input"])


def test_each_agent_has_one_cache_key_of_its_own(conversations):
    keys = {agent: {body["prompt_cache_key"] for body in bodies} for agent, bodies in conversations.items()}
    assert all(len(found) == 1 for found in keys.values())
    assert len(set.union(*keys.values())) == len(keys) == 2


def test_the_backend_takes_every_body(bodies):
    for body in bodies:
        check_accepted(body)


def test_what_differs_between_requests_is_gone(bodies):
    for body in bodies:
        sent = dumps(body)
        for mark in (b"x-anthropic-billing-header", b"cc_version", b"cache_control", b"device_id", b"defer_loading"):
            assert mark not in sent


def test_loaded_tools_come_behind_the_others(conversations):
    names = [[tool["name"] for tool in body["tools"]] for body in conversations["main"]]
    assert "ToolSearch" in names[0]
    assert names[-1] == [*names[0], "WebSearch", "WebFetch", "NotebookEdit"]


def test_nothing_of_the_history_is_lost(conversations):
    """Every thinking block, tool use and result of the last request is in its body, in order."""
    _, asked = [request for request in REQUESTS if agent_of(request[0]) == "main"][-1]
    kinds = {"thinking": "reasoning", "tool_use": "function_call", "tool_result": "function_call_output"}
    blocks = [block for message in asked["messages"] for block in message["content"] if isinstance(block, dict)]
    sent = [item for item in conversations["main"][-1]["input"] if item["type"] in kinds.values()]
    assert [item["type"] for item in sent] == [kinds[block["type"]] for block in blocks if block["type"] in kinds]
    assert [item["call_id"] for item in sent if item["type"] == "function_call"] == [
        block["id"] for block in blocks if block["type"] == "tool_use"
    ]
