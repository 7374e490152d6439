"""The walk by a table of fates; the tables themselves are tested with their APIs."""

import pytest

from codexd.errors import RequestInvalid
from codexd.translation.reading.fates import (
    Shape,
    Table,
    apply_fates,
    approximated,
    carried,
    cosmetic,
    dropped,
    essential,
    plain,
    refused,
)
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind

TABLES = {
    "request": Table(
        {
            "": plain(
                "model",
                items=carried(inside="item"),
                source=carried(inside="source"),
                thread=essential("needs a server"),
                seed=dropped("no seeds", 0),
                user=cosmetic("no users"),
                budget=approximated("as a level"),
                audio=refused("is not supported", {}),
            )
        }
    ),
    "item": Table(
        {
            "text": plain("text"),
            "search_*": plain("query"),
            "old": Shape(dropped("gone")),
            "foreign": Shape(refused("is not ours")),
        },
        unknown=dropped("unknown"),
        by="role",
    ),
    "source": Table({"file": Shape(refused("is elsewhere"))}, leaves_refusals=True),
}


def losses_of(body, **options):
    fields = Fields(body, "")
    apply_fates(fields, TABLES, **options)
    return {loss.path: loss.kind for loss in fields.losses}


@pytest.mark.parametrize(
    ("body", "losses"),
    [
        ({"model": "x", "seed": 0, "user": None, "audio": {}}, {}),
        (
            {"seed": 1, "user": "x", "budget": 3, "new": 1},
            {
                "seed": LossKind.DROPPED,
                "user": LossKind.COSMETIC,
                "budget": LossKind.APPROXIMATED,
                "new": LossKind.DROPPED,
            },
        ),
        ({"items": [{"role": "text", "text": "x", "new": 1}]}, {"items[0].new": LossKind.DROPPED}),
        ({"items": {"role": "text", "new": 1}}, {"items.new": LossKind.DROPPED}),
        ({"items": [{"role": "search_2030", "query": "x"}, "text", 3]}, {}),
        ({"items": [{"role": "old", "new": 1}]}, {"items[0]": LossKind.DROPPED}),
        ({"items": [{"role": "else", "new": 1}]}, {"items[0]": LossKind.DROPPED}),
    ],
)
def test_losses_by_path(body, losses):
    assert losses_of(body) == losses


@pytest.mark.parametrize(
    ("body", "said", "losses"),
    [
        ({"audio": 1}, "audio: is not supported", {"audio": LossKind.DROPPED}),
        ({"items": [{"role": "foreign"}]}, "items[0].role: 'foreign' is not ours", {"items[0]": LossKind.DROPPED}),
    ],
)
def test_what_is_refused_is_dropped_for_a_lenient_client(body, said, losses):
    with pytest.raises(RequestInvalid) as error:
        losses_of(body)
    assert str(error.value) == said
    assert losses_of(body, lenient=True) == losses


@pytest.mark.parametrize("lenient", [True, False])
def test_what_is_essential_is_refused_to_lenient_clients_too(lenient):
    with pytest.raises(RequestInvalid, match=r"^thread: needs a server$"):
        losses_of({"thread": "t"}, lenient=lenient)


@pytest.mark.parametrize("lenient", [True, False])
def test_a_refusal_may_be_left_to_the_reader(lenient):
    assert losses_of({"source": {"type": "file"}}, lenient=lenient) == {}
