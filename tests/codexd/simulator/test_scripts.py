"""Reading scripts, and who gets which reply."""

from __future__ import annotations

from typing import Any

import pytest

from codexd.simulator.scripts import (
    Call,
    Reasoning,
    ScriptBook,
    Text,
    parse_reply,
    parse_script,
    parse_token_reply,
)


def ask(asked: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-5.5", "input": [{"role": "user", "content": asked}], **more}


def take_texts(script: dict[str, Any], *bodies: dict[str, Any]) -> list[str | None]:
    book = ScriptBook(parse_script(script))
    texts: list[str | None] = []
    for body in bodies:
        reply = book.take(body)
        first = reply.output[0] if reply else None
        texts.append(first.text if isinstance(first, Text) else None)
    return texts


def reply(text: str, **more: Any) -> dict[str, Any]:
    return {"output": [{"text": text}], **more}


def test_a_script_is_json_text_too() -> None:
    script = parse_script('{"replies": [{"output": [{"call": {"name": "ls", "arguments": {"a": [1]}}}]}]}')
    [item] = script.replies[0].output
    assert isinstance(item, Call)
    assert item.arguments_text == '{"a":[1]}'
    assert Call("ls", "not json").arguments_text == "not json"


def test_forms() -> None:
    parsed = parse_reply({"output": [{"reasoning": {"summary": ["a"], "encrypted": "x"}}], "as": "both", "failed": {}})
    assert parsed.output == (Reasoning(("a",), "x"),)
    assert parsed.failed == {}
    assert parse_token_reply({"drop": "after", "omit": ["id_token"]}).omit == ("id_token",)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"outputs": []}, "outputs"),
        ({"output": [{"text": "a", "colour": "red"}]}, "colour"),
        ({"output": [{"text": 3}]}, "text"),
        ({"as": "loud"}, "as"),
        ({"after_items": "1"}, "after_items"),
        ({"interleave": 1}, "interleave"),
    ],
)
def test_a_wrong_key_is_named(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_script({"replies": [bad]})


def test_replies_go_out_in_order_then_the_agent_answers() -> None:
    assert take_texts({"replies": [reply("a"), reply("b")]}, *[ask("x")] * 3) == ["a", "b", None]


def test_the_last_reply_can_repeat() -> None:
    script = {"replies": [reply("a"), reply("b")], "then": "repeat-last"}
    assert take_texts(script, *[ask("x")] * 4) == ["a", "b", "b", "b"]


def test_a_reply_can_wait_for_its_request() -> None:
    script = {
        "replies": [
            reply("a"),
            reply("title", when={"output_format": "json_schema"}, times=0),
            reply("greeting", when={"last_user_contains": "hello", "model": "gpt-5.5"}, times=2),
            reply("b"),
        ]
    }
    side = ask("x", text={"format": {"type": "json_schema"}})
    hello = ask("say hello")
    texts = take_texts(script, side, hello, ask("x"), side, hello, hello, side)
    assert texts == ["title", "greeting", "a", "title", "greeting", "b", "title"]


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"contains": "needle"}, True),
        ({"contains": "thread"}, False),
        ({"tool": "Bash"}, True),
        ({"tool": "Grep"}, False),
        ({"last_user_contains": "first"}, False),
        ({"model": "gpt-6-sol"}, False),
        ({"model": "gpt-5.5", "tool": "Bash"}, True),
    ],
)
def test_matchers(when: dict[str, str], fits: bool) -> None:
    body = ask("first", tools=[{"type": "function", "name": "Bash"}])
    body["input"] += [
        {"role": "assistant", "content": "needle"},
        {"role": "user", "content": [{"type": "input_text", "text": "last"}]},
    ]
    assert take_texts({"replies": [reply("hit", when=when)]}, body) == (["hit"] if fits else [None])
