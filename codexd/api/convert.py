"""The contract's classes from plain JSON values, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_unstructure_fn

from codexd.api.methods import METHODS, Method
from codexd.errors import RequestInvalid


def read_params(method: Method, params: Any) -> Any:
    """An instance of ``method.params`` from the params of a call.

    Raises:
        RequestInvalid: names the param and what it must be.
    """
    if isinstance(params, list):
        raise RequestInvalid("params", "must be an object: params are given by name")
    try:
        return _converter.structure({} if params is None else params, method.params)
    except ClassValidationError as error:
        raise _first_problem(error) from None


def to_json(value: Any) -> Any:
    """A result or an event as plain JSON values."""
    return _converter.unstructure(value)


def _first_problem(error: ClassValidationError) -> RequestInvalid:
    located, others = error.group_exceptions()
    if located:
        problem, where = located[0]
        return RequestInvalid(where.name, "is required" if isinstance(problem, KeyError) else str(problem))
    match others[0]:
        case ForbiddenExtraKeysError(extra_fields=names):
            return RequestInvalid(min(names), "is no param of this method")
        case RequestInvalid() as refused:
            return refused
    raise error


def _make_converter() -> cattrs.Converter:
    """Strict: cattrs by itself would read the number 1 as the text "1" and drop unknown keys."""
    converter = cattrs.Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list})
    for type_, read in ((str, _text), (int, _integer), (float, _number), (bool, _boolean)):
        converter.register_structure_hook(type_, read)
    for event in {method.event for method in METHODS.values() if method.event}:
        omit_unset: Callable[[Any], Any] = make_dict_unstructure_fn(event, converter, _cattrs_omit_if_default=True)
        converter.register_unstructure_hook(event, omit_unset)
    return converter


def _text(value: Any, _type: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    try:
        value.encode(errors="surrogateescape")  # as Python has the bytes of a path that are not UTF-8
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None
    return value


def _integer(value: Any, _type: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("must be an integer")
    return value


def _number(value: Any, _type: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise TypeError("must be a number")
    return float(value)


def _boolean(value: Any, _type: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


_converter = _make_converter()
