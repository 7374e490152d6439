"""The OpenRPC document of the control contract, from the declarations of its methods.

Source: https://spec.open-rpc.org, version 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Attribute, frozen

from codexd import __version__, rpc
from codexd.control.method import Method
from codexd.control.schema import Schemas, describe_class, fields_of, is_optional
from codexd.errors import CodexdError

VERSION = "1.3.2"
_ABOUT = (
    "JSON-RPC 2.0 on a Unix socket, one message a line, at most 1 MiB of it. Params are given by name. The error "
    "object's `data.kind` is a stable word. Times are seconds since the epoch."
)


@frozen
class OpenRpc:
    """An OpenRPC document (https://spec.open-rpc.org).

    Beyond it, the `x-event` of a method that begins a follow has the name and the params of its notifications.
    Errors with the code -32000 carry one of the listed kinds in `data.kind`.
    """

    openrpc: str
    info: Mapping[str, Any]
    methods: tuple[Mapping[str, Any], ...]
    components: Mapping[str, Any]


def describe(methods: Iterable[Method]) -> OpenRpc:
    """The document.

    Raises:
        TypeError: a class of the contract has a field that JSON can't represent.
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
        # The specification puts required params first.
        "params": [_describe_param(field, schemas) for field in sorted(fields_of(method.params), key=is_optional)],
        "result": {"name": method.result.__name__, "schema": schemas.refer(method.result)},
        "examples": [_describe_example(method)],
    }
    if description := describe_class(method.params):
        described["description"] = description
    if method.errors:
        described["errors"] = [_describe_errors(method)]
    if method.event is not None:
        params = {"allOf": [schemas.refer(method.result), schemas.refer(method.event, sparse=True)]}
        described["x-event"] = {"name": f"{method.name}.event", "schema": params}
    return described


def _describe_param(field: Attribute[Any], schemas: Schemas) -> dict[str, Any]:
    return {"name": field.name, "required": not is_optional(field), "schema": schemas.of_param(field)}


def _describe_errors(method: Method) -> dict[str, Any]:
    """One error object: the specification allows each code once, and all of codexd's kinds share one code."""
    kinds = sorted({kind for error in method.errors for kind in kinds_of(error)})
    return {"code": int(rpc.ErrorCode.REFUSED), "message": "Refused", "data": {"kind": kinds}}


def kinds_of(error: type[CodexdError]) -> set[str]:
    """The kinds of an error and of all its subclasses."""
    return {error.kind}.union(*(kinds_of(one) for one in error.__subclasses__()))


def _describe_example(method: Method) -> dict[str, Any]:
    params = [{"name": name, "value": value} for name, value in method.example.items()]
    return {"name": f"{method.name} example", "params": params}
