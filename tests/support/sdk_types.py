"""An SDK's own request types: held against a table of fates, and as a source of requests."""

import collections.abc
import types
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints

from attrs import field, frozen
from hypothesis import strategies as st
from typing_extensions import is_typeddict

from codexd.translation.reading.fates import Fate, Table


def typed_dicts(hint):
    """The TypedDicts in a type hint, below unions, lists and annotations."""
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in typed_dicts(inner)]


def kinds_of(shape, key):
    """The values of its field ``key``; the empty one for a TypedDict without."""
    hint = get_type_hints(shape).get(key)
    kinds = [value for inner in (hint, *get_args(hint)) for value in get_args(inner) if isinstance(value, str)]
    return [kind for kind in [*kinds, *get_args(hint)] if isinstance(kind, str)] or [""]


@frozen
class Walk:
    """Looks for what the SDK has and the tables have not.

    ``whole`` are fields that hold an object of their own and are taken as they are, ``flat`` tables whose fields are
    all like that, ``unsent`` shapes by (table, start of the kind) whose fields have nothing to do.
    """

    tables: dict[str, Table]
    whole: set[str] = field(factory=set)
    flat: tuple[str, ...] = ()
    unsent: tuple[tuple[str, str], ...] = ()
    _seen: set[Any] = field(factory=set)

    def find_gaps(self, typed, table="request"):
        """Each as ``table kind.field``."""
        if (typed, table) in self._seen:
            return
        self._seen.add((typed, table))
        for kind in kinds_of(typed, self.tables[table].by):
            shape = self.tables[table].find(kind or None)
            if shape is None:
                yield f"{table} {kind}"
            elif shape.rule.fate not in (Fate.DROPPED, Fate.REFUSED, Fate.COSMETIC) and not self._is_unsent(
                table, kind
            ):
                yield from self._find_field_gaps(typed, table, kind, shape)

    def _is_unsent(self, table, kind):
        return any(table == name and kind.startswith(start) for name, start in self.unsent)

    def _find_field_gaps(self, typed, table, kind, shape):
        for name, hint in get_type_hints(typed).items():
            if name == self.tables[table].by:
                continue
            rule = shape.fields.get(name)
            if rule is None:
                yield f"{table} {kind}.{name}"
            elif rule.inside:
                for inner in typed_dicts(hint):
                    yield from self.find_gaps(inner, rule.inside)
            elif rule.fate is Fate.CARRIED and typed_dicts(hint) and name not in self.whole and table not in self.flat:
                yield f"{table} {kind}.{name} holds {typed_dicts(hint)}"


WORDS = st.sampled_from(["", "a", "größe", "Error: x"])


@frozen
class Requests:
    """Strategies for what the SDK's types allow, with short words for the sake of collisions.

    ``by_name`` are strategies for fields of a name, ``by_type`` more fields for the TypedDict of a name.
    """

    by_name: dict[str, Any]
    by_type: dict[str, dict[str, Any]]
    _cache: dict[Any, Any] = field(factory=dict)

    def of(self, hint, name=""):
        if name in self.by_name:
            return self.by_name[name]
        if is_typeddict(hint):
            if hint not in self._cache:
                self._cache[hint] = st.deferred(lambda: self._build(hint))
            return self._cache[hint]
        origin, args = get_origin(hint), get_args(hint)
        if origin is Literal:
            return st.sampled_from(args)
        if origin in (Union, types.UnionType):
            return st.one_of([self.of(inner, name) for inner in args if not is_model(inner)])
        if origin in (list, collections.abc.Iterable, collections.abc.Sequence) or "SequenceNotStr" in str(origin):
            return st.lists(self.of(args[0], name), max_size=2)
        if origin is dict:
            return st.dictionaries(WORDS, WORDS, max_size=1)
        if args:
            return self.of(args[0], name)
        plain = {str: WORDS, bool: st.booleans(), int: st.integers(0, 9), float: st.floats(0, 1), type(None): st.none()}
        return plain.get(hint, WORDS)

    def _build(self, typed):
        hints = get_type_hints(typed)
        fields = {name: self.of(hint, name) for name, hint in hints.items()} | self.by_type.get(typed.__name__, {})
        marked = get_type_hints(typed, include_extras=True)
        needed = {name: fields[name] for name in fields if get_origin(marked[name]) is Required}
        return st.fixed_dictionaries(needed, optional={name: fields[name] for name in fields if name not in needed})


def is_model(hint):
    return any(hasattr(inner, "model_fields") for inner in (hint, *get_args(hint)))
