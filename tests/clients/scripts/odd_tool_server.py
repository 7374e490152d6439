"""An MCP server on stdio with one tool, whose long name and schema no Codex backend would accept, although Claude Code takes both."""

import json
import sys

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^(?!__.*__$)[\p{L}\p{N}]+$", "description": "A name"},
        "address": {"type": "string", "format": "email", "pattern": r"^(?!\.)[a-z.]+@[a-z]+$"},
        "more": {"type": "array"},
    },
    "required": ["name"],
}
TOOL = {"name": "find_" + "very_" * 12 + "long", "description": "Finds a name.", "inputSchema": SCHEMA}
RESULTS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "odd", "version": "1"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "found-by-the-odd-tool"}]},
}

for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": RESULTS.get(asked["method"], {})}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
