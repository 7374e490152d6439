"""Call a control method by its name: JSON in, JSON or an error out.

The control socket calls methods through here, and so can any other listener.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import cattrs
from attrs import frozen
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError

from codexd.api.rules import NoParams
from codexd.control import accounts, claude, codex_cli, daemon, records, settings, sign_in
from codexd.control.method import Call, Method, method
from codexd.control.openrpc import OpenRpc, describe
from codexd.errors import CodexdError, RequestInvalid
from codexd.files import explain
from codexd.rpc import ErrorCode
from codexd.strict import make_converter, read_string

log = logging.getLogger("codexd.control")

_T = TypeVar("_T")


@frozen
class Result:
    """``value`` consists of plain JSON values."""

    value: Any


@frozen
class Refusal:
    """Why a call has no result. ``kind`` is a stable identifier; ``path`` names the invalid parameter."""

    code: ErrorCode
    kind: str
    message: str
    path: str | None = None


@method("rpc.discover")
async def discover(_call: Call, _params: NoParams) -> OpenRpc:
    """Every method with its params, its result and its errors."""
    return _document()


@cache
def _document() -> OpenRpc:
    return describe(METHODS.values())


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        declared.name: declared
        for declared in (
            *daemon.METHODS,
            *accounts.METHODS,
            *sign_in.METHODS,
            *settings.METHODS,
            *records.METHODS,
            *claude.METHODS,
            *codex_cli.METHODS,
            discover,
        )
    }
)


async def dispatch(call: Call, name: str, params: Any) -> Result | Refusal:
    """Call the method ``name`` with the JSON value ``params``. Any failure becomes a ``Refusal`` of this call."""
    declared = METHODS.get(name)
    if declared is None:
        return Refusal(ErrorCode.METHOD_NOT_FOUND, "method_not_found", f"There is no method {name[:80]}")
    try:
        return Result(to_json(await declared.answer(call, read_params(declared.params, params))))
    except RequestInvalid as error:
        return Refusal(ErrorCode.INVALID_PARAMS, error.kind, str(error), error.path)
    except CodexdError as error:
        return Refusal(ErrorCode.REFUSED, error.kind, str(error))
    except OSError as error:
        text = f"{name} failed. {explain(error)}"
        log.error("%s", text)  # noqa: TRY400 - the disk's error, not a bug: a traceback adds nothing
        return Refusal(ErrorCode.REFUSED, "os_error", text)
    except Exception:  # a bug in one method, which must not end the connection or the daemon
        log.exception("%s failed", name)
        return Refusal(ErrorCode.INTERNAL_ERROR, CodexdError.kind, f"{name} failed because of a bug; see codexd's log")


def read_params(class_: type[_T], params: Any) -> _T:
    """An instance of ``class_`` from the params of a call; None means no params.

    Raises:
        RequestInvalid: names the parameter and what it must be.
    """
    if isinstance(params, list):
        raise RequestInvalid("params", "must be an object: parameters are given by name")
    try:
        return _converter.structure({} if params is None else params, class_)
    except ClassValidationError as error:
        raise _first_problem(error) from None


def to_json(value: Any) -> Any:
    """A result as plain JSON values.

    Raises:
        TypeError: it contains a value that JSON can't represent, such as bytes or NaN.
    """
    return _converter.unstructure(value)


def event_to_json(event: Any) -> dict[str, Any]:
    """An event as plain JSON values, without the fields that are not set.

    Raises:
        TypeError: as ``to_json``.
    """
    return {name: value for name, value in to_json(event).items() if value is not None}


def _first_problem(error: ClassValidationError) -> RequestInvalid:
    located, others = error.group_exceptions()
    if located:
        problem, where = located[0]
        return RequestInvalid(where.name, "is required" if isinstance(problem, KeyError) else str(problem))
    match others[0]:
        case ForbiddenExtraKeysError(extra_fields=names):
            return RequestInvalid(min(names), "unknown parameter")
        case RequestInvalid() as refused:
            return refused
    raise error


def _make_converter() -> cattrs.Converter:
    """Strict in both directions: a value that JSON can't represent is an error."""
    converter = make_converter(
        unstruct_collection_overrides={tuple: list, AbstractSet: list},
        unstructure_fallback_factory=lambda _type: _check_plain,
    )
    converter.register_unstructure_hook(float, _check_plain)  # replaces the hooks of cattrs for these two
    converter.register_unstructure_hook(bytes, _check_plain)
    converter.register_structure_hook(str, _read_text)
    return converter


def _check_plain(value: Any) -> Any:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError(f"JSON can't represent a value of type {type(value).__name__}")


def _read_text(value: Any, _type: Any) -> str:
    text = read_string(value)
    try:
        text.encode(errors="surrogateescape")  # Python's form of a path that is not UTF-8
    except UnicodeEncodeError:
        raise ValueError("must not contain a lone surrogate (half of a character)") from None
    return text


_converter = _make_converter()
