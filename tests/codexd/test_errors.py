"""The tree of exceptions."""

import inspect
import re

import pytest

from codexd import errors
from codexd.errors import MAX_MESSAGE_CHARS, CodexdError, RequestInvalid, UpstreamError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CodexdError)]


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    lines = re.findall(r"^    ([│├└─ ]*)(\w+)", errors.__doc__, re.MULTILINE)
    above, found = {}, {}
    for branch, name in lines:
        depth = len(branch) // 4
        above[depth] = name
        found[name] = above.get(depth - 1)
    parents = {kind.__name__: kind.__base__.__name__ for kind in ALL}
    assert found == parents | {"CodexdError": None}


def test_each_kind_is_a_word_of_its_own():
    own = [kind.kind for kind in ALL if "kind" in vars(kind)]
    assert all(re.fullmatch(r"[a-z_]+", word) for word in own)
    repeated = {word for word in own if own.count(word) > 1}
    assert repeated <= {"internal"}  # the base of the tree and InternalError mean the same


@pytest.mark.parametrize(
    "make", [lambda words: UpstreamError(words, code=words), lambda words: RequestInvalid(words, words)]
)
def test_what_is_repeated_from_others_is_cut(make):
    error = make("x" * 10 * MAX_MESSAGE_CHARS)
    assert len(str(error)) < 3 * MAX_MESSAGE_CHARS
    assert all(len(str(value)) <= MAX_MESSAGE_CHARS + 1 for value in vars(error).values())


def test_an_invalid_request_names_its_field():
    assert str(RequestInvalid("messages[3].content", "must be a string")) == "messages[3].content: must be a string"
    assert str(RequestInvalid("", "is not JSON")) == "is not JSON"
