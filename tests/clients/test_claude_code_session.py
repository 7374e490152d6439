"""Thirty turns of the real Claude Code in one process, with ``/compact`` in the middle.

``scripts/session.json`` holds each turn: what is said, the replies of the backend, and the final answer.
"""

from __future__ import annotations

import base64
import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from attrs import evolve
from clients.claude_code import make_claude
from support.harness import start_daemon
from support.media import PAPER, make_image

from codexd.api.records import LogFilter
from codexd.jsontext import dumps
from codexd.simulator.prompts import count_tokens, flatten_prompt
from codexd.translation.tokens import count_body

pytestmark = pytest.mark.client

SESSION = Path(__file__).parent / "scripts" / "session.json"
RED_PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
        "53de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
    )
).decode()
COMPACTION = "TEXT ONLY"


def read_turns(folder):
    text = SESSION.read_text().replace("@FOLDER@", str(folder)).replace("@PIXEL@", RED_PIXEL)
    return json.loads(text)["turns"]


def agent_of(request):
    """The text that a sub-agent was started with; None for the main loop."""
    opening = json.dumps(request.body["input"][0])
    return next((name for name in ("AGENT-ONE", "AGENT-TWO", "AGENT-THREE", "AGENT-FOUR") if name in opening), None)


def is_search(request):
    return [tool["type"] for tool in request.body.get("tools", [])] == ["web_search"]


def last_text(request):
    return dumps(request.body["input"][-1]).decode()


def output_of(requests, call_id):
    """What the backend got for a call, in the last request that has it."""
    outputs = [item for request in requests for item in request.body["input"] if item.get("call_id") == call_id]
    return [item["output"] for item in outputs if item["type"] == "function_call_output"][-1]


def conversations_of(requests):
    """The requests of each cache key, without the searches, which are conversations of their own."""
    found = defaultdict(list)
    for request in requests:
        if not is_search(request):
            found[request.body["prompt_cache_key"]].append(request)
    return list(found.values())


def check_continues(earlier, later):
    """The later body begins with all that the earlier one held."""
    for name in ("instructions", "model", "reasoning", "tool_choice", "parallel_tool_calls"):
        assert later.body.get(name) == earlier.body.get(name)
    for name in ("tools", "input"):
        before = earlier.body[name]
        assert dumps(later.body[name][: len(before)]) == dumps(before)


def check_results(asked):
    """The results that came back to the model, of each kind."""
    assert output_of(asked, "call_where") == "here-42"
    assert "Exit code 3" in output_of(asked, "call_fails")
    assert "No such tool" in output_of(asked, "call_unknown")
    assert "InputValidationError" in output_of(asked, "call_broken")
    assert "Sunny, 21 degrees." in output_of(asked, "call_search")
    assert "It counted: 1 2 3." in json.dumps(output_of(asked, "call_agent"))
    assert "\N{ROSE}" in output_of(asked, "call_german_back")
    for call_id, kind in (("call_image", "input_image"), ("call_paper", "input_file")):
        assert kind in [part["type"] for part in output_of(asked, call_id)]
    first_three = [output_of(asked, f"call_three_{letter}") for letter in "abc"]
    assert (first_three[0], first_three[2]) == ("slow", "quick")


def check_agents(asked):
    """Each sub-agent has a cache key of its own; the main loop keeps one."""
    keys = defaultdict(set)
    for request in asked:
        if not is_search(request):
            keys[agent_of(request)].add(request.body["prompt_cache_key"])
    assert len(keys) == 5
    assert all(len(found) == 1 for found in keys.values())
    assert len(set.union(*keys.values())) == 5


def check_prefixes(asked):
    """The common prefix of one conversation's requests never shrinks; a compaction begins a new one."""
    compactions = 0
    for conversation in conversations_of(asked):
        for earlier, later in itertools.pairwise(conversation):
            if COMPACTION in last_text(earlier):
                compactions += 1
            else:
                check_continues(earlier, later)
    assert compactions == 1


def check_reasoning(asked):
    """Every piece of reasoning that the main loop got before the compaction is in the request for the summary."""
    (summary,) = [request for request in asked if COMPACTION in last_text(request)]
    kinds = [item["type"] for item in summary.body["input"]]
    thought = [turn for turn in json.loads(SESSION.read_text())["turns"][:15] for turn in turn["replies"]]
    main_loop = [item for reply in thought if "when" not in reply for item in reply["output"]]
    assert kinds.count("reasoning") == sum(1 for item in main_loop if "reasoning" in item)
    assert kinds.count("reasoning") > 10


def check_counts(asked):
    """Our count of each body of the main loop is within a tenth of the backend's."""
    for request in asked:
        if agent_of(request) is None and not is_search(request):
            theirs = count_tokens(flatten_prompt(request.body))
            assert abs(count_body(request.body) - theirs) < theirs / 10


def statuses_of(running):
    """The statuses that the client was given, as far as they are logged yet."""
    entries = running.logs.history(LogFilter())
    return {entry.fields["status"] for entry in entries if entry.logger == "codexd.request"}


async def test_thirty_turns(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = make_claude(tmp_path, running.address)
    (claude.folder / "red.png").write_bytes(base64.b64decode(RED_PIXEL))
    (claude.folder / "paper.pdf").write_bytes(PAPER)
    turns = read_turns(claude.folder)
    replies = [reply for turn in turns for reply in turn["replies"]]
    running.load(*replies)

    results = await claude.talk(*(turn["say"] for turn in turns))

    assert [result["result"] for result in results] == [turn["answer"] for turn in turns]
    assert not any(result["is_error"] for result in results)
    asked = running.asked
    assert [request.status for request in asked] == [200] * len(replies)
    assert statuses_of(running) == {200}
    assert sum(1 for request in asked if is_search(request)) == 2
    check_results(asked)
    check_agents(asked)
    check_counts(running.asked)
    check_prefixes(asked)
    check_reasoning(asked)


async def test_threads_end_at_their_first_refusal(nursery, tmp_path):
    """With threads, Claude Code sends only what is new; codexd keeps no conversations, so it must send all of it."""
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = evolve(make_claude(tmp_path, running.address), environ={"CLAUDE_CODE_TETHER_LIVE": "1"})
    running.load(*({"output": [{"text": f"Answer {number}."}]} for number in (1, 2, 3)))

    results = await claude.talk("The first question", "The second question", "The third question")

    assert [result["result"] for result in results] == ["Answer 1.", "Answer 2.", "Answer 3."]
    assert len(running.asked) == 3
    last = dumps(running.asked[-1].body["input"]).decode()
    assert [word in last for word in ("The first question", "Answer 1.", "The second question")] == [True] * 3
    requests = (await running.call("requests.list"))["requests"]
    assert sum(request["status"] == 400 for request in requests) == 1


def in_base64(kind, media_type, data):
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return {"type": kind, "source": source}


async def test_a_session_survives_a_broken_image_a_broken_pdf_and_an_odd_schema(nursery, tmp_path):
    """First Read returns both, then the user attaches both; an MCP tool's patterns are in every request."""
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = evolve(make_claude(tmp_path, running.address), environ={"ENABLE_TOOL_SEARCH": "false"})
    server = {"command": sys.executable, "args": [str(SESSION.parent / "odd_tool.py")]}
    (claude.home / ".claude.json").write_text(json.dumps({"mcpServers": {"odd": server}}))
    image, paper = make_image("PNG", (64, 48))[:1000], PAPER[:100]
    (claude.folder / "broken.png").write_bytes(image)
    (claude.folder / "broken.pdf").write_bytes(paper)
    script = (SESSION.parent / "broken_media.json").read_text().replace("@FOLDER@", str(claude.folder))
    running.load(*json.loads(script)["replies"])
    attached = [in_base64("image", "image/png", image), in_base64("document", "application/pdf", paper)]

    results = await claude.talk("Read both.", [{"type": "text", "text": "See."}, *attached], "Go on.")

    assert [result["result"] for result in results] == ["Neither can be read.", "It goes on.", "Greeted, and on."]
    assert [request.status for request in running.asked] == [200] * 6
    assert output_of(running.asked, "call_odd") == "Greeted."
    assert "image left out: the data is broken" in json.dumps(output_of(running.asked, "call_image"))
    assert "document left out: the data is cut off" in json.dumps(output_of(running.asked, "call_paper"))
    requests = (await running.call("requests.list"))["requests"]
    refused = [request["error"] for request in requests if request["status"] == 400]
    assert len(refused) == 2
    assert all(" is broken or cut off" in error or " is cut off" in error for error in refused)


async def test_a_refusal_that_stays_costs_one_request(nursery, tmp_path):
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = make_claude(tmp_path, running.address)
    body = {"error": {"message": "No such luck.", "type": "invalid_request_error", "param": "reasoning"}}
    running.load({"error": {"status": 400, "body": body}, "times": 20})
    result = await claude.run("Hello")
    assert result.status == 1
    assert "No such luck." in result.stdout
    assert len(running.asked) == 1


@pytest.mark.parametrize("param", ["input", "input[4].output[0].image_url"])
async def test_an_image_that_the_backend_refuses_leaves_the_conversation(nursery, tmp_path, param):
    running = await start_daemon(nursery, tmp_path / "daemon")
    claude = make_claude(tmp_path, running.address)
    (claude.folder / "a.png").write_bytes(make_image("PNG"))
    message = "The image data you provided does not represent a valid image."
    refusal = {"message": message, "type": "invalid_request_error", "param": param, "code": "invalid_value"}
    reading = {"call": {"name": "Read", "call_id": "call_a", "arguments": {"file_path": str(claude.folder / "a.png")}}}
    running.load(
        {"output": [reading]},
        {"error": {"status": 400, "body": {"error": refusal}}},
        {"output": [{"text": "Without it."}]},
        {"output": [{"text": "It goes on."}]},
    )
    results = await claude.talk("Read it.", "Go on.")
    assert [result["result"] for result in results] == ["Without it.", "It goes on."]
    assert [request.status for request in running.asked] == [200, 400, 200, 200]
    assert "removed" in output_of(running.asked, "call_a")
