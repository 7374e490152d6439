import attrs
import pytest

from codexd.accounts.choosing.serving import Standing, find_serving
from codexd.accounts.model import Account, AccountState

NOW = 1_795_000_000.0
WORK = Account("1", "w", "u", "work@example.com", "plus", 0.0)
HOME = Account("2", "h", "u", "home@example.com", "plus", 0.0)
DEAD = "The refresh token was revoked. Run `codexctl accounts add` to sign in again."


def stand(account, state="ok", until=None, problem=None):
    return Standing(account, AccountState(state), until, problem)


def serve(*standings, active=WORK, rotates=False, kilo=False):
    return find_serving(standings, active.id if active else None, rotates=rotates, kilo=kilo)


LIMITED = stand(WORK, "limited", NOW + 60, "usage limit reached")
DISABLED = stand(WORK, "disabled")
NEEDS_LOGIN = stand(attrs.evolve(WORK, needs_login=DEAD), "needs_login")
FAILING = stand(WORK, "expired", NOW + 5, "The sign-in server can't be reached.")
IDLE = stand(HOME)


@pytest.mark.parametrize("state", ["ok", "expiring", "expired"])
@pytest.mark.parametrize("rotates", [False, True])
def test_an_account_that_can_serve(state, rotates):
    serving = serve(stand(WORK, state), IDLE, rotates=rotates)
    assert (serving.possible, serving.state, serving.account) == (True, state, "work@example.com")
    assert (serving.reason, serving.until, serving.advice) == (None, None, None)
    assert serving.others == ("home@example.com",)


@pytest.mark.parametrize(
    ("standing", "state", "reason", "advice"),
    [
        (LIMITED, "limited", "work@example.com is limited (usage limit reached)", "Show the limits: `codexctl quota`."),
        (
            DISABLED,
            "disabled",
            "work@example.com is disabled",
            "Enable it: `codexctl accounts enable work@example.com`.",
        ),
        (NEEDS_LOGIN, "needs_login", "work@example.com needs a new login", DEAD),
        (
            FAILING,
            "expired",
            "the access token of work@example.com has expired and can't be refreshed",
            "The sign-in server can't be reached.",
        ),
    ],
)
@pytest.mark.parametrize("rotates", [False, True])
def test_an_account_that_can_not(standing, state, reason, advice, rotates):
    serving = serve(standing, rotates=rotates)
    assert (serving.possible, serving.state, serving.account) == (False, state, "work@example.com")
    assert (serving.reason, serving.until, serving.advice) == (reason, standing.until, advice)


@pytest.mark.parametrize("standing", [LIMITED, DISABLED, NEEDS_LOGIN, FAILING])
def test_another_account_serves_after_a_switch_or_by_rotation(standing):
    alone = serve(standing, IDLE)
    assert not alone.possible
    assert alone.advice.endswith("Switch to another account: `codexctl accounts switch home@example.com`.")
    rotating = serve(standing, IDLE, rotates=True)
    assert (rotating.possible, rotating.account, rotating.others) == (True, "home@example.com", ())
    assert (rotating.reason, rotating.until, rotating.advice) == (alone.reason, alone.until, None)


def test_with_rotation_every_account_is_named_and_the_first_to_return_counts():
    later = stand(HOME, "limited", NOW + 30, "too many requests in a short time")
    serving = serve(LIMITED, later, rotates=True)
    assert (serving.possible, serving.account, serving.until) == (False, "home@example.com", NOW + 30)
    assert serving.reason == (
        "work@example.com is limited (usage limit reached), "
        "home@example.com is limited (too many requests in a short time)"
    )


def test_without_an_account():
    serving = serve(active=None)
    assert (serving.possible, serving.state, serving.account) == (False, "no_account", None)
    assert "codexctl accounts add" in serving.advice
    serving = serve(IDLE, active=None)
    assert (serving.possible, serving.state, serving.others) == (False, "no_active_account", ("home@example.com",))
    assert "codexctl accounts switch" in serving.advice
    rotating = serve(IDLE, active=None, rotates=True)
    assert (rotating.possible, rotating.account, rotating.reason) == (True, "home@example.com", None)


def test_kilo_serves_where_the_plan_can_not():
    serving = serve(active=None, kilo=True)
    assert (serving.possible, serving.state, serving.reason) == (True, "kilo_only", "no account is signed in")
    assert serve(IDLE, active=HOME, kilo=True).state == "ok"
