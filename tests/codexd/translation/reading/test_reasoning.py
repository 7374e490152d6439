import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation.reading.reasoning import Reasoning, ReasoningOwners, seal, tag_account, to_item, unseal

few = settings(deadline=None, max_examples=150)
VALUE = Reasoning("rs_1", "gAAAAABo", "gpt-5.5", "0a1b2c3d")
SIGNATURE = seal(VALUE)
REASONINGS = st.builds(Reasoning, st.text(), st.text(min_size=1), st.text(), st.text())


@few
@given(REASONINGS)
def test_round_trip(reasoning):
    signature = seal(reasoning)
    assert unseal(signature) == reasoning
    assert all(char.isalnum() or char in "-_." for char in signature)
    assert signature.isascii()


def test_a_long_signature():
    reasoning = Reasoning("rs_1", "g" * 60_000, "gpt-5.5", "0a1b2c3d")
    assert unseal(seal(reasoning)) == reasoning


@few
@given(st.integers(0, len(SIGNATURE) - 1))
def test_a_truncated_signature_is_nobodys(length):
    assert unseal(SIGNATURE[:length]) is None


@few
@given(st.integers(0, len(SIGNATURE) - 1), st.characters())
def test_an_altered_signature_raises_nothing(at, char):
    unsealed = unseal(SIGNATURE[:at] + char + SIGNATURE[at + 1 :])
    assert unsealed is None or isinstance(unsealed, Reasoning)


def envelope(value):
    return "cdx1." + base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        5,
        [],
        {},
        "",
        "EqQBCgIYAhIM",
        "gAAAAABo",
        "cdx1.",
        "cdx1.!!!!",
        "cdx1.é",
        "cdx2." + SIGNATURE[5:],
        SIGNATURE[5:],
        envelope([]),
        envelope(5),
        envelope({}),
        envelope({"id": "rs_1", "enc": "g", "m": "gpt-5.5"}),
        envelope({"id": "rs_1", "enc": "", "m": "gpt-5.5", "a": "x"}),
        envelope({"id": "rs_1", "enc": 5, "m": "gpt-5.5", "a": "x"}),
        envelope({"id": None, "enc": "g", "m": "gpt-5.5", "a": "x"}),
    ],
)
def test_foreign_signatures(signature):
    assert unseal(signature) is None
    assert to_item(signature, model="gpt-5.5", account_tag="0a1b2c3d") is None


@few
@given(st.text())
def test_any_text_is_nobodys(text):
    assert unseal(text) is None
    assert unseal("cdx1." + text) is None


@pytest.mark.parametrize(
    ("sealed_for", "model", "tag", "usable"),
    [
        ("gpt-5.5", "gpt-5.5", "0a1b2c3d", True),
        ("gpt-5.5", "gpt-5.4-mini", "0a1b2c3d", True),
        ("gpt-6-sol", "gpt-6.1-sol", "0a1b2c3d", True),
        ("gpt-5.5", "gpt-6-sol", "0a1b2c3d", False),
        ("codex-auto-review", "gpt-5.5", "0a1b2c3d", False),
        ("codex-auto-review", "codex-auto-review", "0a1b2c3d", True),
        ("gpt-5.5", "gpt-5.5", "ffffffff", False),
    ],
)
def test_reasoning_is_for_its_account_and_generation(sealed_for, model, tag, usable):
    signature = seal(Reasoning("rs_1", "gAAAA", sealed_for, "0a1b2c3d"))
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    assert to_item(signature, model=model, account_tag=tag) == (item if usable else None)


def test_an_account_tag_gives_nothing_away():
    assert tag_account("account-1") == tag_account("account-1") != tag_account("account-2")
    assert len(tag_account("account-1")) == 8
    assert "account" not in tag_account("account-1")


def test_what_an_account_could_not_read_is_left_to_the_others():
    owners = ReasoningOwners()
    owners.note("own", "mine")
    for sealed in ("own", "unknown"):
        owners.note_refused(sealed, "mine")
    assert [owners.is_foreign(sealed, "mine") for sealed in ("own", "unknown")] == [False, True]
    assert not owners.is_foreign("unknown", "other")


def test_the_memory_of_owners_is_bounded():
    owners, refused = ReasoningOwners(maximum=2), ReasoningOwners(maximum=2)
    for sealed in "abc":
        owners.note(sealed, "other")
        refused.note_refused(sealed, "mine")
    for memory in (owners, refused):
        assert [memory.is_foreign(sealed, "mine") for sealed in "abc"] == [False, True, True]
