"""Bodies for the simulated backend, in order and not, and what it says to them."""

from __future__ import annotations

import base64
from typing import Any

from support.media import make_image

from codexd.simulator.checks import check_body
from codexd.simulator.options import Options

OWN, FOREIGN = "account-own", "account-foreign"


PNG = "data:image/png;base64," + base64.b64encode(make_image("PNG")).decode()


PDF = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def make_body(**changes: Any) -> dict[str, Any]:
    body = {
        "model": "gpt-5.5",
        "instructions": "",
        "store": False,
        "stream": True,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not ABSENT}


ABSENT = object()


def say(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"input": [{"type": "message", "role": role, "content": list(content)}]}


def call(call_id: str = "call_1", **changes: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": "ls", "arguments": "{}", "call_id": call_id, **changes}


def output(call_id: str = "call_1", **changes: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "a.txt", **changes}


def function(**changes: Any) -> dict[str, Any]:
    tool = {"type": "function", "name": "x", "parameters": PARAMETERS, **changes}
    return {"tools": [{key: value for key, value in tool.items() if value is not ABSENT}]}


def schema(**changes: Any) -> dict[str, Any]:
    return function(parameters={**PARAMETERS, **changes})


def find_refusal(body: Any, **options: Any) -> Any:
    refusal = check_body(body, account_id=OWN, options=Options(**options))
    return None if refusal is None else (refusal.status, refusal.body)


def expect_error(changes: dict[str, Any], message: str, param: str | None, code: str | None) -> None:
    """A body with ``changes`` is refused by the model API's validation."""
    expected = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    assert find_refusal(make_body(**changes)) == (400, {"error": expected})
