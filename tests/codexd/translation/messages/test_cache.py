import itertools
import json

from support.bodies import HI, SESSION, TURNS, check_accepted, check_prefix, claude_code_body, make, text, translate

from codexd.translation.reading.tool_names import shorten

# -- cache ------------------------------------------------------------------------------------------

CLAUDE_CODE = {"x-claude-code-session-id": SESSION}


def key(headers=None, model="gpt-5.5", **fields):
    return translate(make(**fields), headers=headers, model=model)["prompt_cache_key"]


def test_one_cache_key_per_session_agent_and_model():
    main = key(CLAUDE_CODE)
    agent = key({**CLAUDE_CODE, "x-claude-code-agent-id": "a1"})
    assert key(CLAUDE_CODE, messages=[{"role": "user", "content": "something else"}]) == main
    assert len({main, agent, key(CLAUDE_CODE, model="gpt-5.4"), key()}) == 4
    assert len(main) <= 64


def test_the_session_is_found_wherever_the_client_puts_it():
    in_json = json.dumps({"device_id": "ab", "account_uuid": "", "session_id": SESSION})
    keys = {
        key(CLAUDE_CODE),
        key(metadata={"user_id": in_json}),
        key(metadata={"user_id": f"user_ab_account__session_{SESSION}"}),
    }
    assert len(keys) == 1
    for no_session in (
        "bob",
        "{}",
        "[1]",
        json.dumps({"session_id": SESSION}),
        json.dumps({"device_id": "x", "session_id": 5}),
    ):
        assert key(metadata={"user_id": no_session}) == key()


def test_without_a_session_the_beginning_of_the_conversation_counts():
    def of(words, **fields):
        return key(messages=[{"role": "user", "content": words}], **fields)

    reminder = "<system-reminder>\nthe date\n</system-reminder>"
    assert of("hi") != of("ho")
    assert of("hi") != of("hi", system="s")
    assert of("hi") == of([text(reminder), text("hi")]) == of(reminder + "\n\n" + reminder + "\nhi")
    assert of("hi") == key(messages=[*HI, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "ha"}])


def test_long_runs_of_blanks_and_tags_take_no_time():
    for words in (
        " " * 300_000 + "x",
        "<system-reminder>" * 50_000,
        "x-anthropic-billing-header" * 50_000,
        "\n" * 300_000,
    ):
        assert key(messages=[{"role": "user", "content": words + "x"}], system=words + "x")


def test_a_growing_session_keeps_its_prefix():
    bodies = [translate(claude_code_body(turns)) for turns in range(1, len(TURNS) + 1)]
    for earlier, later in itertools.pairwise(bodies):
        check_prefix(earlier, later)
    assert len(bodies[-1]["input"]) == 17
    assert [tool["name"] for tool in bodies[-1]["tools"]] == [
        "Bash",
        "ToolSearch",
        "Write",
        shorten("mcp__x__" + "y" * 80),
        "Mail",
    ]
    for body in bodies:
        check_accepted(body)


def test_a_search_beside_the_conversation_has_a_key_of_its_own():
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    assert key(CLAUDE_CODE, tools=[search]) == key(CLAUDE_CODE, tools=[search])
    assert key(CLAUDE_CODE, tools=[search]) != key(CLAUDE_CODE)
