"""An MCP server with one tool, whose schema has patterns that the backend refuses."""

import json
import sys

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^[\p{L}\p{N}]+$"},
        "mail": {"type": "string", "pattern": r"^(?!\.)[a-z@.]+$"},
    },
}
ANSWERS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "odd", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "greet", "description": "Greets.", "inputSchema": SCHEMA}]},
    "tools/call": {"content": [{"type": "text", "text": "Greeted."}]},
}

for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        result = ANSWERS.get(request["method"], {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
