"""What an OpenRPC document is checked against, and what it says of the messages of the socket."""

import json
from pathlib import Path

from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

FOLDER = Path(__file__).parent / "openrpc"
JSON_SCHEMA_ID = "https://meta.json-schema.tools"


def meta_validator():
    """Of whole documents."""
    resource = Resource.from_contents(json.loads((FOLDER / "json_schema.json").read_text()), DRAFT7)
    # It calls itself by the first; the meta-schema of OpenRPC leaves the slash out.
    registry = Registry().with_resources([(f"{JSON_SCHEMA_ID}/", resource), (JSON_SCHEMA_ID, resource)])
    meta = json.loads((FOLDER / "openrpc.json").read_text())
    return Draft7Validator(meta, registry=registry, format_checker=Draft7Validator.FORMAT_CHECKER)


class Checker:
    """Checks messages against a document, which has to name every member that they have."""

    def __init__(self, document):
        self.methods = {method["name"]: method for method in document["methods"]}
        self._components = {
            "schemas": {name: _closed(schema) for name, schema in document["components"]["schemas"].items()}
        }

    def accepts(self, method, params):
        """Whether ``params`` are what the document asks for."""
        described = self.methods[method]["params"]
        schema = {
            "properties": {param["name"]: param["schema"] for param in described},
            "required": [param["name"] for param in described if param["required"]],
            "additionalProperties": False,
        }
        return self._validator(schema).is_valid(params)

    def check_result(self, method, result):
        self._validator(self.methods[method]["result"]["schema"]).validate(result)

    def check_event(self, method, params):
        """Of an event every member has to be named by one of its parts."""
        parts = self.methods[method]["x-event"]["schema"]["allOf"]
        names = [part["$ref"].rpartition("/")[2] for part in parts]
        members = [self._components["schemas"][name]["properties"] for name in names]
        assert set(params) <= {member for part in members for member in part}
        for part, known in zip(parts, members, strict=True):
            self._validator(part).validate({name: value for name, value in params.items() if name in known})

    def kinds(self, method):
        """The words that its error replies may carry."""
        errors = self.methods[method].get("errors", [])
        return {kind for error in errors for kind in error["data"]["kind"]}

    def _validator(self, schema):
        return Draft7Validator({"allOf": [schema], "components": self._components})


def _closed(schema):
    return {**schema, "additionalProperties": False}
