import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.limits import Observation, Window, parse_event, parse_headers

NOW = 1000.0
EVENT = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {
        "allowed": True,
        "limit_reached": False,
        "primary": {"used_percent": 42.0, "window_minutes": 300, "reset_at": 1795001200},
        "secondary": {"used_percent": 12.0, "window_minutes": 10080, "reset_at": 1795500000},
    },
    "code_review_rate_limits": None,
    "credits": {"has_credits": False, "unlimited": False, "balance": None},
    "metered_limit_name": "codex",
    "limit_name": None,
}
BOTH = (Window("5h", 42.0, 18000.0, 1795001200.0), Window("weekly", 12.0, 604800.0, 1795500000.0))


def headers(slot, used, minutes, at="1795001200", limit=""):
    start = f"x-codex-{limit}{slot}"
    return {f"{start}-used-percent": used, f"{start}-window-minutes": minutes, f"{start}-reset-at": at}


def test_both_windows_from_headers():
    found = parse_headers(
        {
            "X-Codex-Plan-Type": "plus",
            "X-Codex-Active-Limit": "codex",
            **headers("primary", "42", "300"),
            **headers("secondary", "12.0", "10080", "1795500000"),
            "x-codex-primary-over-secondary-limit-percent": "0",
            "x-codex-credits-balance": "",
        },
        NOW,
    )
    assert found == Observation(BOTH, "plus", NOW)


@pytest.mark.parametrize(("minutes", "name"), [("300", "5h"), ("10080", "weekly"), ("60", "60m"), ("299.6", "5h")])
def test_a_window_is_known_by_its_length(minutes, name):
    assert parse_headers(headers("primary", "1", minutes), NOW).windows[0].name == name


def test_metered_limits_have_their_name():
    found = parse_headers(
        {
            **headers("primary", "99.5", "300", limit="bengalfox-"),
            "x-codex-bengalfox-limit-name": "gpt-5.2-codex-sonic",
            **headers("secondary", "5", "10080", limit="code-review-"),
        },
        NOW,
    )
    assert [(window.name, window.limit) for window in found.windows] == [
        ("gpt-5.2-codex-sonic 5h", "gpt-5.2-codex-sonic"),
        ("code-review weekly", "code-review"),
    ]


@pytest.mark.parametrize(
    ("extra", "resets_at"),
    [
        ({"reset-at": "5000", "reset-after-seconds": "7"}, 5000),
        ({"reset-after-seconds": "7"}, 1007),
        ({"reset-at": "", "reset-after-seconds": "0"}, 1000),
        ({"reset-at": "soon"}, 1000 + 18000),
        ({}, 1000 + 18000),
    ],
)
def test_when_a_window_resets(extra, resets_at):
    fields = {"x-codex-primary-used-percent": "1", "x-codex-primary-window-minutes": "300"}
    fields |= {f"x-codex-primary-{name}": value for name, value in extra.items()}
    assert parse_headers(fields, NOW).windows[0].resets_at == resets_at


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"content-type": "text/event-stream"},
        headers("primary", "", "300"),
        headers("primary", "nan", "300"),
        headers("primary", "-1", "300"),
        headers("primary", "1", ""),
        headers("primary", "1", "0"),
        headers("primary", "1", "inf"),
        {"x-codex-plan-type": " "},
    ],
)
def test_what_cannot_be_read_says_nothing(fields):
    assert parse_headers(fields, NOW) is None


def test_the_plan_alone_is_something():
    assert parse_headers({"x-codex-plan-type": "pro"}, NOW) == Observation((), "pro", NOW)


def test_the_event_says_the_same_as_the_headers():
    assert parse_event(EVENT, NOW) == Observation(BOTH, "plus", NOW)


def test_an_event_of_a_metered_limit():
    found = parse_event(EVENT | {"metered_limit_name": "codex_bengalfox", "limit_name": "spark"}, NOW)
    assert [window.name for window in found.windows] == ["spark 5h", "spark weekly"]


def test_code_review_in_an_event_is_a_limit_of_its_own():
    block = {"primary": {"used_percent": 100, "window_minutes": 10080, "reset_at": 2000}, "secondary": None}
    found = parse_event({"rate_limits": None, "code_review_rate_limits": block}, NOW)
    assert [window.name for window in found.windows] == ["code-review weekly"]
    assert not found.windows[0].is_used_up(NOW)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"rate_limits": None},
        {"rate_limits": []},
        {"rate_limits": {"primary": None, "secondary": None}},
        {"rate_limits": {"primary": "full"}},
        {"rate_limits": {"primary": {"used_percent": True, "window_minutes": 300}}},
        {"rate_limits": {"primary": {"used_percent": 10**400, "window_minutes": 300}}},
    ],
)
def test_events_that_say_nothing(event):
    assert parse_event(event, NOW) is None


names = st.sampled_from(
    [f"x-codex-{middle}-{end}" for middle in ("primary", "secondary", "a-primary", "-secondary") for end in
     ("used-percent", "window-minutes", "reset-at", "reset-after-seconds", "limit-name")]
    + ["x-codex-plan-type", "x-codex-a-limit-name"]
)  # fmt: skip
values = st.text() | st.floats().map(str) | st.integers().map(str) | st.sampled_from(["300", "10080"])


@given(st.dictionaries(names | st.text(), values))
def test_headers_never_raise(fields):
    found = parse_headers(fields, NOW)
    for window in found.windows if found else ():
        assert window.window_s > 0
        assert window.used_percent >= 0


json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["primary", "secondary", "used_percent", "window_minutes", "reset_at", "x"]), inner, max_size=4
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(EVENT)), json))
def test_events_never_raise(event):
    parse_event(event, NOW)


@pytest.mark.parametrize(
    ("used", "resets_at", "expected"),
    [(100.0, 1001.0, True), (120.0, 1001.0, True), (99.9, 1001.0, False), (100.0, 1000.0, False)],
)
def test_used_up(used, resets_at, expected):
    assert Window("5h", used, 18000.0, resets_at).is_used_up(NOW) is expected
