"""JSON Schema (draft 7) of the contract's classes, from the types and validators of their fields.

This is the draft that OpenRPC uses; its keywords mean the same in OpenAPI 3.1.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import attrs

from codexd.api.rules import Rule

Schema: TypeAlias = dict[str, Any]

_PLAIN: Mapping[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
    dict: "object",
    Mapping: "object",
}
_ARRAYS = (tuple, list, Sequence)
_OBJECTS = (dict, Mapping)


class Schemas:
    """Schemas of types. Each class that they refer to is described once, under its name in ``components``."""

    def __init__(self, folder: str = "#/components/schemas/") -> None:
        self.components: dict[str, Schema] = {}
        self._folder = folder
        self._classes: dict[str, type] = {}

    def of_type(self, type_: Any) -> Schema:
        """The schema of an annotation.

        Raises:
            TypeError: JSON can't represent the type, or two classes have the same name.
        """
        origin, arguments = get_origin(type_), get_args(type_)
        if type_ is Any:
            return {}
        if origin in (Union, UnionType):
            return {"anyOf": [self.of_type(one) for one in arguments]}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in _ARRAYS and arguments[1:] in ((), (...,)):
            return {"type": "array", "items": self.of_type(arguments[0])}
        if origin in _OBJECTS and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.of_type(arguments[1])}
        if type_ in _PLAIN:
            return {"type": _PLAIN[type_]}
        if isinstance(type_, type) and issubclass(type_, enum.Enum):
            return {"enum": [member.value for member in type_]}
        if isinstance(type_, type) and attrs.has(type_):
            return self.refer(type_)
        raise TypeError(f"JSON Schema can't describe {type_}")

    def of_param(self, field: attrs.Attribute[Any]) -> Schema:
        """The schema of a param, with its rule and its default."""
        schema = self.of_type(field.type)
        if isinstance(field.validator, Rule):
            schema = _with_keywords(schema, field.validator.keywords)
        if isinstance(field.default, str | int | float | None):
            schema["default"] = field.default
        return schema

    def refer(self, class_: type, *, sparse: bool = False) -> Schema:
        """A reference to the schema of ``class_`` as the daemon sends it.

        All fields are sent; in a ``sparse`` class, fields that have a default may be missing.
        """
        name = class_.__name__
        if self._classes.setdefault(name, class_) is not class_:
            raise TypeError(f"{class_.__module__} and {self._classes[name].__module__} both have a {name}")
        if name not in self.components:
            self.components[name] = {}  # reserved before the fields are read: one of them may refer back
            fields = fields_of(class_)
            required = [field.name for field in fields if not (sparse and is_optional(field))]
            self.components[name] = {
                "title": name,
                "type": "object",
                **({"description": description} if (description := describe_class(class_)) else {}),
                "properties": {field.name: self.of_type(field.type) for field in fields},
                **({"required": required} if required else {}),
            }
        return {"$ref": f"{self._folder}{name}"}


def fields_of(class_: type) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of a class, with their types resolved."""
    return tuple(attrs.fields(attrs.resolve_types(class_)))


def is_optional(field: attrs.Attribute[Any]) -> bool:
    return field.default is not attrs.NOTHING


def describe_class(class_: type) -> str:
    """The docstrings of a class and its bases as Markdown, one line a paragraph."""
    texts = [inspect.cleandoc(one.__doc__) for one in reversed(class_.__mro__[:-1]) if one.__doc__]
    return re.sub(r"(?<!\n)\n(?!\n)", " ", "\n\n".join(texts)).replace("``", "`")


def _with_keywords(schema: Schema, keywords: Mapping[str, Any]) -> Schema:
    """A rule applies to every form of the value except null."""
    if "anyOf" in schema:
        return {"anyOf": [_with_keywords(form, keywords) for form in schema["anyOf"]]}
    return schema if schema.get("type") == "null" else {**schema, **keywords}
