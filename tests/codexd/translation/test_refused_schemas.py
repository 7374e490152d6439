"""Errors about schemas, as users read them."""

import pytest

from codexd.jsontext import dumps
from codexd.translation.backend import read_http_error
from codexd.translation.reading.tool_names import ToolNames, shorten
from codexd.translation.refused_schemas import describe_schema

NOW = 1_795_000_000.0
LONG = "mcp__server__" + "x" * 80
TOOLS = {
    "tools": [{"type": "web_search"}, {"type": "function", "name": shorten(LONG)}],
    "input": [{"type": "additional_tools", "tools": [{"name": "web", "tools": [{"name": "run"}]}]}],
}
LOOK_AROUND = "Invalid JSON schema: regex lookaround is not supported. Found at $.properties.a.pattern."
DISABLE = "Disable the tool, or the MCP server that it comes from, and send the request again."


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"message": f"Invalid schema for function '{shorten(LONG)}': '^[\\\\p{{L}}]$' is not a 'regex'."},
            (
                f"The backend refused the JSON schema of the tool \"{LONG}\": its pattern '^[\\\\p{{L}}]$' is not a regular "
                f"expression that it can read. {DISABLE}"
            ),
        ),
        (
            {"message": LOOK_AROUND, "param": "tools[1].parameters"},
            (
                f'The backend refused the JSON schema of the tool "{LONG}": regex lookaround is not supported. Found at '
                f"$.properties.a.pattern. {DISABLE}"
            ),
        ),
        (
            {"message": LOOK_AROUND, "param": "input[0].tools[0].tools[0].parameters"},
            (
                'The backend refused the JSON schema of the tool "run": regex lookaround is not supported. Found at '
                f"$.properties.a.pattern. {DISABLE}"
            ),
        ),
        (
            {"message": "Invalid schema for response_format 'a': 1 is not of type 'object'.", "param": "text.format"},
            (
                "The backend refused the JSON schema of the answer: 1 is not of type 'object'. Change the schema, and send "
                "the request again."
            ),
        ),
        (
            {"code": "invalid_function_parameters", "param": "tools[9].parameters"},
            f"The backend refused the JSON schema of a tool: invalid_function_parameters. {DISABLE}",
        ),
    ],
)
def test_a_refused_schema_names_the_tool_as_the_client_does(found, said):
    error = read_http_error(400, {}, dumps({"error": found}), NOW)
    described = describe_schema(error, TOOLS, ToolNames([LONG]))
    assert str(described) == said
    assert (described.status, described.code) == (error.status, error.code)
