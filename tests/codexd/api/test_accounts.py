"""Params of ``accounts.*`` that exclude each other."""

import pytest

from codexd.api.accounts import AccountsChosen, QuotaOf
from codexd.errors import RequestInvalid


@pytest.mark.parametrize("class_", [AccountsChosen, QuotaOf])
def test_either_one_account_or_all(class_):
    assert class_(account="work").account == "work"
    assert class_(all=True).all
    assert class_(account="work", all=False)
    with pytest.raises(RequestInvalid, match="all: can't be given with an account"):
        class_(account="work", all=True)
