"""The canned agent: helpful, honest, deterministic."""

from __future__ import annotations

from typing import Any

import pytest

from codexd.jsontext import loads
from codexd.simulator.agent import GREETING, SUMMARY, answer, make_example
from codexd.simulator.scripts import parse_reply

BASH = {
    "type": "function",
    "name": "Bash",
    "parameters": {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "description": {"type": "string"},
            "timeout": {"type": "number"},
        },
        "required": ["command"],
    },
}


def ask(asked: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": asked}]
    return {"model": "gpt-5.5", "input": [{"type": "message", "role": "user", "content": content}], **more}


def read_only_text(body: dict[str, Any]) -> str:
    [item] = answer(body)["output"]
    return str(item["text"])


def test_it_says_what_it_is() -> None:
    assert read_only_text(ask("Hi there", tools=[BASH])) == GREETING
    assert "simulated" in GREETING
    assert "no model is behind it" in GREETING


@pytest.mark.parametrize("text", ["list the files", "please run something", "Read it", "ls"])
def test_it_calls_the_shell(text: str) -> None:
    [item] = answer(ask(text, tools=[BASH]))["output"]
    assert item == {"call": {"name": "Bash", "arguments": {"command": "ls"}}}


def test_it_calls_the_shell_of_a_client_in_code_mode() -> None:
    """As the Codex CLI offers it for most models: a custom tool that takes JavaScript, in an item of the input."""
    body = ask("list the files")
    code = {"type": "custom", "name": "exec", "description": "Run JavaScript: await tools.exec_command({cmd})"}
    tools = [{"type": "namespace", "name": "functions", "tools": [code]}]
    body["input"].insert(0, {"type": "additional_tools", "role": "developer", "tools": tools})
    [item] = answer(body)["output"]
    assert item == {"custom_call": {"name": "exec", "input": 'text((await tools.exec_command({cmd: "ls"})).output)'}}

    result = {
        "type": "custom_tool_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_text", "text": "a.txt"}],
    }
    body["input"] += [{"type": "custom_tool_call", "name": "exec", "input": "", "call_id": "call_1"}, result]
    assert "a.txt" in read_only_text(body)


def test_it_fills_what_the_schema_requires() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "command": {"type": "array", "items": {"type": "string"}},
            "description": {"type": "string"},
            "mode": {"enum": ["fast", "slow"]},
        },
        "required": ["command", "description", "mode"],
    }
    [item] = answer(ask("ls", tools=[{"type": "function", "name": "shell", "parameters": parameters}]))["output"]
    assert item["call"]["arguments"] == {"command": ["ls"], "description": "List the files", "mode": "fast"}


@pytest.mark.parametrize("more", [{}, {"tools": [{**BASH, "name": "Grep"}]}, {"tools": [BASH], "tool_choice": "none"}])
def test_without_a_shell_it_talks(more: dict[str, Any]) -> None:
    assert read_only_text(ask("list the files", **more)) == GREETING


def test_reminders_are_not_the_user() -> None:
    text = "<system-reminder>list\nfiles</system-reminder>Hi"
    assert read_only_text(ask(text, tools=[BASH])) == GREETING


def test_it_quotes_the_output() -> None:
    body = ask("ls", tools=[BASH])
    body["input"] += [
        {"type": "function_call", "name": "Bash", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "\n".join("abcdefghijklm")},
    ]
    text = read_only_text(body)
    assert "```\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n```" in text
    assert "3 more lines" in text
    body["input"].append({"type": "message", "role": "user", "content": "thanks"})
    assert read_only_text(body) == GREETING


def test_it_reads_outputs_with_parts() -> None:
    body = ask("ls")
    body["input"] += [
        {"type": "function_call", "name": "Bash", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "a.txt"}]},
    ]
    assert "a.txt" in read_only_text(body)


def test_it_thinks_when_asked_to() -> None:
    first, second = answer(ask("Hi", reasoning={"effort": "low", "summary": "auto"}))["output"]
    assert first["reasoning"]["summary"]
    assert "text" in second
    first, _ = answer(ask("Hi", reasoning={"effort": "low"}))["output"]
    assert first["reasoning"]["summary"] == []


def test_a_schema_gets_a_document() -> None:
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "tags": {"type": "array", "items": {}}, "extra": {}},
        "required": ["title", "tags"],
    }
    text = read_only_text(ask("Title?", text={"format": {"type": "json_schema", "schema": schema}}))
    assert loads(text) == {"title": "Simulated", "tags": []}


def test_titles_are_short() -> None:
    assert read_only_text(ask("Write a title for this session")) == "Simulated session"


def test_a_compaction_gets_a_summary_and_no_call() -> None:
    text = read_only_text(ask("Write a summary of the conversation: files read, commands run", tools=[BASH]))
    assert text == SUMMARY


def test_every_answer_is_a_good_script() -> None:
    for body in (ask("Hi"), ask("ls", tools=[BASH], reasoning={"effort": "low", "summary": "auto"})):
        assert answer(body) == answer(body)
        assert parse_reply(answer(body)).output


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": ["integer", "null"], "minimum": 4}, 4),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"type": "string", "maxLength": 3}, "Sim"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "number"}}}, 0),
        ({"$ref": "#"}, None),
        ({"$ref": "#/nowhere"}, None),
    ],
)
def test_examples(schema: dict[str, Any], value: Any) -> None:
    assert make_example(schema) == value


def test_it_repeats_a_text_or_passes_it_to_the_echo_tool() -> None:
    asked = {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Repeat after me: list files"}]}]}
    assert answer(asked)["output"] == [{"text": "list files"}]
    tool = {"type": "function", "name": "echo", "parameters": {"type": "object"}}
    [call] = answer({**asked, "tools": [tool]})["output"]
    assert call == {"call": {"name": "echo", "arguments": {"text": "list files"}}}
