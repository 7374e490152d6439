import attrs
import pytest

from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Limits, Window
from codexd.accounts.model import Account, AccountState, Tokens, account_state
from codexd.api.accounts import CreditsInfo

NOW = 1000.0
ACCOUNT = Account("aa0000000001", "w", "u", "ann@example.com", "plus", 0.0)
DEAD = attrs.evolve(ACCOUNT, needs_login="revoked")
DISABLED = attrs.evolve(DEAD, disabled=True)
FULL = Window("5h", 100.0, 18000.0, NOW + 60)
COOLDOWN = Cooldown(NOW + 60, "usage limit reached", None, NOW - 1, NOW - 1)


def tokens(left_s):
    return Tokens("a", "r", None, NOW + left_s)


@pytest.mark.parametrize(
    ("account", "left_s", "limits", "cooldown", "state"),
    [
        (ACCOUNT, 301, Limits(), None, AccountState.OK),
        (ACCOUNT, 300, Limits(), None, AccountState.EXPIRING),
        (ACCOUNT, 1, Limits(), None, AccountState.EXPIRING),
        (ACCOUNT, 0, Limits(), None, AccountState.EXPIRED),
        (ACCOUNT, 9999, Limits((FULL,)), None, AccountState.LIMITED),
        (ACCOUNT, 0, Limits((FULL,)), None, AccountState.LIMITED),
        (ACCOUNT, 9999, Limits((FULL,), credits=CreditsInfo(True, False, "5")), None, AccountState.OK),
        (ACCOUNT, 9999, Limits((attrs.evolve(FULL, resets_at=NOW),)), None, AccountState.OK),
        (ACCOUNT, 9999, Limits((attrs.evolve(FULL, limit="code-review"),)), None, AccountState.OK),
        (ACCOUNT, 9999, Limits(), COOLDOWN, AccountState.LIMITED),
        (ACCOUNT, 9999, Limits(), attrs.evolve(COOLDOWN, until=NOW), AccountState.OK),
        (DEAD, 9999, Limits((FULL,)), COOLDOWN, AccountState.NEEDS_LOGIN),
        (DISABLED, 0, Limits((FULL,)), COOLDOWN, AccountState.DISABLED),
    ],
)
def test_state(account, left_s, limits, cooldown, state):
    assert account_state(account, tokens(left_s), limits, cooldown, NOW) is state


def test_without_tokens_it_needs_a_login():
    assert account_state(ACCOUNT, None, Limits(), None, NOW) is AccountState.NEEDS_LOGIN
    assert account_state(DISABLED, None, Limits(), None, NOW) is AccountState.DISABLED
