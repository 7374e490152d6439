"""JSON where a schema belongs, made of the keywords that the metaschema of 2020-12 has."""

from hypothesis import strategies as st
from jsonschema_specifications import REGISTRY

VOCABULARIES = ("core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content")


def list_metaschema_keywords():
    base = "https://json-schema.org/draft/2020-12/"
    documents = [
        REGISTRY.contents(f"{base}schema"),
        *(REGISTRY.contents(f"{base}meta/{name}") for name in VOCABULARIES),
    ]
    return {keyword for document in documents for keyword in document["properties"]}


KEYWORDS = sorted(list_metaschema_keywords())
NAMES = [*KEYWORDS, "nullable", "additionalItems", "a", "(?!x)"]
WORDS = ["object", "array", "string", "any", "#/$defs/a", "(?!x)", "^a", "[", "a", "uri"]


def _containers(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)


ANY_SCHEMA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS),
    _containers,
    max_leaves=25,
)
"""Any JSON, mostly in the form of schemas that nobody should write."""
