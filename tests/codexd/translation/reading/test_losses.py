"""The ledger stays small, whatever a client sends."""

import pytest

from codexd import bounds
from codexd.translation.reading.losses import MAX_CHARS, Losses, LossKind


def test_a_path_is_written_down_once():
    losses = Losses()
    for kind in (LossKind.COSMETIC, LossKind.DROPPED):
        losses.add(kind, "a", "why")
    assert [(loss.kind, loss.path) for loss in losses] == [(LossKind.COSMETIC, "a")]
    assert (losses.reported, losses.first_dropped) == (0, None)


def test_what_is_too_much_to_keep_is_counted():
    losses = Losses()
    for number in range(bounds.LOSSES_OF_REQUEST):
        losses.add(LossKind.COSMETIC, f"a[{number}]", "")
    losses.add(LossKind.DROPPED, "b", "first")
    losses.add(LossKind.APPROXIMATED, "c", "")
    losses.add(LossKind.COSMETIC, "d", "")
    assert (len(losses), losses.reported) == (bounds.LOSSES_OF_REQUEST, 2)
    assert losses.first_dropped is not None
    assert losses.first_dropped.path == "b"


@pytest.mark.parametrize("where", ["path", "note"])
def test_long_words_are_cut(where):
    losses = Losses()
    losses.add(LossKind.DROPPED, **{"path": "p", "note": "n", where: "x" * 100_000})
    assert len(getattr(next(iter(losses)), where)) == MAX_CHARS
