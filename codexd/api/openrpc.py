"""The OpenRPC document of the control socket, from the table of its methods.

Source: https://spec.open-rpc.org, version 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import Attribute

from codexd import __version__, rpc
from codexd.api.discover import OpenRpc
from codexd.api.methods import Method
from codexd.api.schema import Schemas, fields_of, is_optional, words_of
from codexd.errors import CodexdError

VERSION = "1.3.2"
_ABOUT = (
    "JSON-RPC 2.0 on a Unix socket, one message a line, at most 1 MiB of it. Params are given by name. The error "
    "object's `data.kind` is a stable word. Times are seconds since the epoch."
)


def describe(methods: Iterable[Method]) -> OpenRpc:
    """The document.

    Raises:
        TypeError: a class of the table has a field that JSON can't say.
    """
    schemas = Schemas()
    described = tuple(_describe_method(method, schemas) for method in methods)
    info = {"title": "codexd", "version": __version__, "description": _ABOUT}
    return OpenRpc(VERSION, info, described, {"schemas": schemas.components})


def _describe_method(method: Method, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        # The specification: an optional param does not stand before a required one.
        "params": [_describe_param(field, schemas) for field in sorted(fields_of(method.params), key=is_optional)],
        "result": {"name": method.result.__name__, "schema": schemas.refer(method.result)},
        "examples": [_describe_example(method)],
    }
    if words := words_of(method.params):
        described["description"] = words
    if method.errors:
        described["errors"] = [_describe_errors(method)]
    if method.event is not None:
        params = {"allOf": [schemas.refer(method.result), schemas.refer(method.event, sparse=True)]}
        described["x-event"] = {"name": f"{method.name}.event", "schema": params}
    return described


def _describe_param(field: Attribute[Any], schemas: Schemas) -> dict[str, Any]:
    return {"name": field.name, "required": not is_optional(field), "schema": schemas.of_param(field)}


def _describe_errors(method: Method) -> dict[str, Any]:
    """One object: the specification wants each code once, and ours is one with many kinds."""
    kinds = sorted({kind for error in method.errors for kind in kinds_of(error)})
    return {"code": int(rpc.ErrorCode.REFUSED), "message": "Refused", "data": {"kind": kinds}}


def kinds_of(error: type[CodexdError]) -> set[str]:
    """The words of an error and of every error below it."""
    return {error.kind}.union(*(kinds_of(one) for one in error.__subclasses__()))


def _describe_example(method: Method) -> dict[str, Any]:
    params = [{"name": name, "value": value} for name, value in method.example.items()]
    return {"name": f"{method.name} example", "params": params}
