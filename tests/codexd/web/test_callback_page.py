"""The page at the end of a sign-in: values in, HTML out."""

import pytest

from codexd.accounts.model import Account
from codexd.errors import LoginFailed
from codexd.web.callback_page import render, show_account, show_problem


def attr(email):
    return Account("a1", "ws", "u", email, "plus", 0.0)


@pytest.mark.parametrize("simulated", [False, True])
def test_a_simulated_account_is_marked(simulated):
    account = Account("a1", "ws", "u", "", "unknown", 0.0, simulated=simulated)
    page = render(show_account(account, added=False), "n")
    assert ("Simulated:" in page) == simulated
    assert "Signed in as a1" in page
    assert "login of this account was renewed." in page


def test_nothing_of_a_page_is_markup():
    evil = '<img src=x onerror=alert(1)>"'
    for page in (show_problem(LoginFailed(evil), simulated=False), show_account(attr(evil), added=True)):
        assert "<img" not in render(page, "n")


def test_what_stands_in_backquotes_is_code():
    page = render(show_problem(LoginFailed("Run `codexctl accounts add`."), simulated=False), "n")
    assert "<p>Run <code>codexctl accounts add</code>.</p>" in page


def test_a_new_account_and_one_that_was_known():
    account = Account("a1", "ws", "u", "ann@example.com", "plus", 0.0)
    assert "codexd can now use this account (plus plan)." in render(show_account(account, added=True), "n")
    assert "renewed (plus plan)." in render(show_account(account, added=False), "n")
