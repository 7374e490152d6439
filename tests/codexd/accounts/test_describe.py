import attrs
import pytest

from codexd.accounts.describe import account_state
from codexd.accounts.limits import Window
from codexd.accounts.model import Account, AccountState, Tokens

NOW = 1000.0
ACCOUNT = Account("aa0000000001", "w", "u", "ann@example.com", "plus", 0.0)
DEAD = attrs.evolve(ACCOUNT, needs_login="revoked")
FULL = Window("5h", 100.0, 18000.0, NOW + 60)


def tokens(left_s):
    return Tokens("a", "r", None, NOW + left_s)


@pytest.mark.parametrize(
    ("account", "left_s", "windows", "state"),
    [
        (ACCOUNT, 301, (), AccountState.OK),
        (ACCOUNT, 300, (), AccountState.EXPIRING),
        (ACCOUNT, 1, (), AccountState.EXPIRING),
        (ACCOUNT, 0, (), AccountState.EXPIRED),
        (ACCOUNT, 9999, (FULL,), AccountState.LIMITED),
        (ACCOUNT, 0, (FULL,), AccountState.LIMITED),
        (ACCOUNT, 9999, (attrs.evolve(FULL, resets_at=NOW),), AccountState.OK),
        (ACCOUNT, 9999, (attrs.evolve(FULL, limit="code-review"),), AccountState.OK),
        (DEAD, 9999, (FULL,), AccountState.NEEDS_LOGIN),
    ],
)
def test_state(account, left_s, windows, state):
    assert account_state(account, tokens(left_s), windows, NOW) is state


def test_without_tokens_it_needs_a_login():
    assert account_state(ACCOUNT, None, (), NOW) is AccountState.NEEDS_LOGIN
