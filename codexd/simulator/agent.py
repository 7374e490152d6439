"""The canned agent that answers if no script does: helpful, deterministic, and honest about what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from codexd.jsontext import dumps_text
from codexd.simulator.scripts import find_last_user_text, read_text

GREETING = (
    "Hello! This is codexd's simulated backend: no model is behind it and nothing leaves this machine. "
    "Ask me to list your files, and I will call one of your client's tools to show a complete round trip."
)
SUMMARY = (
    # Without the tags, Claude Code asks a second time.
    "<summary>The user tried codexd's simulated backend, which answers with canned texts.</summary>"
)
CHECK_BLOCKED = "<block>yes</block><reason>This backend is simulated: no model has checked the action.</reason>"
CHECK_GRADED = "<severity>100</severity>"
"""Verdicts for Claude Code's auto mode, in the form that its request asks for: the action is not to run unasked."""

SHELL_TOOLS = ("Bash", "bash", "shell", "exec_command", "shell_command")
COMMAND = "ls"
ECHO_TOOL = "echo"
CODE_TOOL = "exec"
CODE = f'text((await tools.exec_command({{cmd: "{COMMAND}"}})).output)'
"""The command in the form that the Codex CLI expects from most models: JavaScript for a custom tool."""

QUOTED_LINES = 10

_WANTS_COMMAND = re.compile(r"\b(list|ls|run|files?|read|execute|folder|directory)\b", re.IGNORECASE)
_WANTS_TITLE = re.compile(r"\btitle\b", re.IGNORECASE)
_WANTS_SUMMARY = re.compile(r"\bsummary of (the|this|our) conversation\b", re.IGNORECASE)
_ECHO = re.compile(r"\bRepeat after me: (.+)", re.DOTALL)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_CALL_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to the request ``body``, in the form of a script."""
    if body["input"] and body["input"][-1].get("type") == "compaction_trigger":
        return {"output": [{"compaction": {}}]}
    schema = _find_schema(body)
    if schema is not None:
        return {"output": [{"text": dumps_text(make_example(schema))}]}
    return {"output": [*_think(body), _act(body)]}


def _act(body: Mapping[str, Any]) -> dict[str, Any]:
    output = _find_fresh_output(body)
    if output is not None:
        return {"text": _quote(output)}
    # Reminders come from the client, not from the user, and often contain words such as "files".
    asked = _REMINDER.sub("", find_last_user_text(body))
    echo = _ECHO.search(asked)
    if echo is not None:
        return _repeat(echo[1], body)
    if "<transcript>" in asked and not body.get("tools"):
        return {"text": CHECK_GRADED if "<severity>" in asked else CHECK_BLOCKED}
    if _WANTS_SUMMARY.search(asked):
        return {"text": SUMMARY}
    if _WANTS_TITLE.search(asked):
        return {"text": "Simulated session"}
    call = _make_call(body) if _WANTS_COMMAND.search(asked) else None
    return call or {"text": GREETING}


def _repeat(text: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Say ``text``, or pass it to the client's tool ``echo``: testers can tell whether all of it came."""
    if any(tool.get("name") == ECHO_TOOL for tool in body.get("tools") or ()):
        return {"call": {"name": ECHO_TOOL, "arguments": {"text": text}}}
    return {"text": text}


def _think(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    reasoning = body.get("reasoning") or {}
    if reasoning.get("summary"):
        return [{"reasoning": {"summary": ["**Choosing a canned answer**\n\nThis backend is simulated."]}}]
    return [{"reasoning": {"summary": []}}] if reasoning.get("effort") else []


def _find_schema(body: Mapping[str, Any]) -> dict[str, Any] | None:
    answer_format = (body.get("text") or {}).get("format") or {}
    return answer_format.get("schema") if answer_format.get("type") == "json_schema" else None


def _find_fresh_output(body: Mapping[str, Any]) -> str | None:
    """The output of the first call since the user's last message."""
    outputs: list[str] = []
    for item in body.get("input") or []:
        if item.get("type") in _CALL_OUTPUTS:
            outputs.append(read_text(item.get("output")))
        elif item.get("role") == "user" or item.get("type") == "function_call":
            outputs = []
    return outputs[0] if outputs else None


def _quote(output: str) -> str:
    lines = output.strip().splitlines()
    if not lines:
        return "The tool answered nothing. (Simulated backend: no model has read it.)"
    quoted = "\n".join(lines[:QUOTED_LINES])
    more = f"\n\nand {len(lines) - QUOTED_LINES} more lines" if len(lines) > QUOTED_LINES else ""
    return f"The tool answered:\n\n```\n{quoted}\n```{more}\n\n(Simulated backend: no model has read it.)"


def _make_call(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """A call to a tool that runs commands; None if the request offers no such tool."""
    if body.get("tool_choice") == "none":
        return None
    offered = list(_list_tools(body))
    functions = {tool.get("name"): tool for tool in offered if tool.get("type") == "function"}
    for name in SHELL_TOOLS:
        if name in functions:
            return {"call": {"name": name, "arguments": _fill_arguments(functions[name].get("parameters") or {})}}
    if any(tool.get("type") == "custom" and tool.get("name") == CODE_TOOL for tool in offered):
        return {"custom_call": {"name": CODE_TOOL, "input": CODE}}
    return None


def _list_tools(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tools of the body, and those in the namespaces of an ``additional_tools`` item."""
    yield from body.get("tools") or ()
    for item in body.get("input") or ():
        for tool in item.get("tools") or () if item.get("type") == "additional_tools" else ():
            yield from tool.get("tools") or (tool,)


def _fill_arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the tool's schema requires, with ``COMMAND`` as its command."""
    properties = schema.get("properties") or {}
    arguments = make_example({**schema, "type": "object"})
    for key in ("command", "cmd"):
        if key in properties:
            is_list = properties[key].get("type") == "array"
            arguments[key] = [COMMAND] if is_list else COMMAND
    if "description" in arguments:
        arguments["description"] = "List the files"
    return dict(arguments)


_MAX_DEPTH = 20
_MAX_LENGTH = 100
"""The most items or characters made to satisfy a minimum: more would only waste memory."""


def make_example(schema: Mapping[str, Any]) -> Any:
    """A value with the required properties of ``schema`` and little else."""
    return _make(schema, schema, 0)


def _make(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _make(_resolve(schema["$ref"], root), root, depth + 1)
    for combination in ("anyOf", "oneOf", "allOf"):
        if schema.get(combination):
            return _make(schema[combination][0], root, depth + 1)
    return _make_of_type(schema, root, depth)


def _make_of_type(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match next(iter(kind), None) if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties") or {}
            return {key: _make(properties.get(key), root, depth + 1) for key in schema.get("required") or ()}
        case "array":
            return [
                _make(schema.get("items"), root, depth + 1) for _ in range(min(schema.get("minItems", 0), _MAX_LENGTH))
            ]
        case "string":
            return "Simulated".ljust(min(schema.get("minLength", 0), _MAX_LENGTH), ".")[: schema.get("maxLength")]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


def _resolve(pointer: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for name in pointer.removeprefix("#").strip("/").split("/"):
        if name:
            node = node.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return node
