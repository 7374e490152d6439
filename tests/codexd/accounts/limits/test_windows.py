import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.limits.windows import (
    STALE_S,
    Limits,
    Observation,
    Window,
    parse_event,
    parse_headers,
    parse_usage,
)
from codexd.api.accounts import CreditsInfo

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
    assert found == Observation(BOTH, "plus", NOW, active_limit="codex")


@pytest.mark.parametrize(
    ("minutes", "name"),
    [
        ("300", "5h"),
        ("299.6", "5h"),
        ("1440", "daily"),
        ("10080", "weekly"),
        ("43200", "monthly"),
        ("44640", "monthly"),
        ("43829.1", "monthly"),
        ("525600", "yearly"),
        ("90", "90-minute"),
        ("60", "1-hour"),
        ("2160", "36-hour"),
        ("4320", "3-day"),
        ("20160", "2-week"),
    ],
)
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
    assert parse_event(EVENT, NOW) == Observation(BOTH, "plus", NOW, CreditsInfo(False, False, None), allowed=True)


def test_an_event_of_a_metered_limit():
    found = parse_event(EVENT | {"metered_limit_name": "codex_bengalfox", "limit_name": "spark"}, NOW)
    assert [window.name for window in found.windows] == ["spark 5h", "spark weekly"]


def test_the_word_of_a_metered_limit_is_not_the_plan_s():
    assert parse_event(EVENT | {"metered_limit_name": "codex_bengalfox"}, NOW).allowed is None


@pytest.mark.parametrize(
    ("active", "name"),
    [
        ("codex", "codex"),
        ("codex_bengalfox", "spark"),
        ("bengalfox", "spark"),
        ("Codex-Bengalfox", "spark"),
        ("owl", "owl"),
        ("snow_goose", "snow_goose"),
        ("", None),
    ],
)
def test_the_active_limit_has_the_name_of_its_windows(active, name):
    fields = headers("primary", "100", "300", limit="bengalfox-") | {"x-codex-bengalfox-limit-name": "spark"}
    found = parse_headers(
        {**fields, **headers("secondary", "5", "300", limit="owl-"), "X-Codex-Active-Limit": active}, NOW
    )
    assert found.active_limit == name
    assert [window.used_percent for window in found.of_limit("spark")] == [100]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"has-credits": "True", "unlimited": "False", "balance": "12.5"}, CreditsInfo(True, False, "12.5")),
        ({"has-credits": "1", "unlimited": "true", "balance": " "}, CreditsInfo(True, True, None)),
        ({"has-credits": "False", "unlimited": "0"}, CreditsInfo(False, False, None)),
        ({"unlimited": "maybe", "has-credits": "false"}, CreditsInfo(False, False, None)),
        ({"has-credits": "", "balance": "5"}, None),
        ({}, None),
    ],
)
def test_credits_in_headers(fields, expected):
    found = parse_headers(
        {"x-codex-plan-type": "plus"} | {f"x-codex-credits-{key}": fields[key] for key in fields}, NOW
    )
    assert found.credits == expected


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


def slot(used, length_s, **more):
    return {"used_percent": used, "limit_window_seconds": length_s, "reset_after_seconds": 60, "reset_at": 2000} | more


USAGE = {
    "user_id": "user-abc",
    "email": "a@example.com",
    "plan_type": "plus",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": slot(42, 18000),
        "secondary_window": slot(12, 604800, reset_at=3000),
    },
    "code_review_rate_limit": None,
    "additional_rate_limits": [
        {
            "limit_name": "gpt-5.3-codex-spark",
            "metered_feature": "codex_bengalfox",
            "rate_limit": {
                "allowed": True,
                "limit_reached": False,
                "primary_window": slot(7, 18000),
                "secondary_window": None,
            },
        }
    ],
    "credits": {"has_credits": False, "unlimited": False, "overage_limit_reached": False, "balance": "0"},
    "spend_control": {"reached": False, "individual_limit": None},
    "rate_limit_reached_type": None,
    "promo": None,
}


def test_the_usage_document():
    assert parse_usage(USAGE, NOW) == Observation(
        (
            Window("5h", 42.0, 18000.0, 2000.0),
            Window("weekly", 12.0, 604800.0, 3000.0),
            Window("gpt-5.3-codex-spark 5h", 7.0, 18000.0, 2000.0, "gpt-5.3-codex-spark"),
        ),
        "plus",
        NOW,
        CreditsInfo(False, False, "0"),
        allowed=True,
        complete=True,
    )


@pytest.mark.parametrize("block", [key for key, value in USAGE.items() if isinstance(value, dict | list)])
def test_every_block_of_the_usage_document_may_be_null(block):
    assert parse_usage(USAGE | {block: None}, NOW).plan == "plus"


def test_without_its_main_block_the_document_does_not_count_as_complete():
    found = parse_usage(USAGE | {"rate_limit": None}, NOW)
    assert (found.complete, found.allowed) == (False, None)
    assert [window.limit for window in found.windows] == ["gpt-5.3-codex-spark"]


@pytest.mark.parametrize(
    ("metered", "names"),
    [
        ({"limit_name": None, "metered_feature": "codex_bengalfox"}, ["bengalfox 5h"]),
        ({"limit_name": "spark"}, ["spark 5h"]),
        ({"limit_name": ""}, []),
        ({}, []),
    ],
)
def test_the_name_of_a_metered_limit_in_the_usage_document(metered, names):
    extra = metered | {"rate_limit": {"primary_window": slot(7, 18000)}}
    found = parse_usage({"plan_type": "plus", "additional_rate_limits": [None, "x", extra]}, NOW)
    assert [window.name for window in found.windows] == names


def test_code_review_in_the_usage_document_has_the_name_that_the_event_gives_it():
    found = parse_usage({"code_review_rate_limit": {"primary_window": slot(100, 604800)}}, NOW)
    assert [(window.name, window.limit) for window in found.windows] == [("code-review weekly", "code-review")]


@pytest.mark.parametrize("document", [{}, {"rate_limit": None}, {"rate_limit": []}, {"additional_rate_limits": {}}])
def test_a_usage_document_that_says_nothing(document):
    assert parse_usage(document, NOW) is None


usage_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["primary_window", "used_percent", "limit_window_seconds", "reset_at", "rate_limit", "limit_name", "allowed"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(USAGE)), usage_json))
def test_usage_documents_never_raise(document):
    found = parse_usage(document, NOW)
    for window in found.windows if found else ():
        assert window.window_s > 0


def main_window(used, resets_at=NOW + 60, name="5h"):
    return Window(name, used, 18000.0, resets_at)


METERED = Window("spark 5h", 100.0, 18000.0, NOW + 60, "spark")


@pytest.mark.parametrize(
    ("windows", "tightest"),
    [
        ((), None),
        ((METERED,), None),
        ((main_window(100.0, NOW),), None),
        ((main_window(5.0), main_window(7.0, name="weekly"), METERED), "weekly"),
        ((main_window(7.0), main_window(5.0, name="weekly")), "5h"),
        ((main_window(99.0, NOW), main_window(5.0, name="weekly")), "weekly"),
        ((main_window(100.0), main_window(100.0, NOW + 6000, "weekly")), "weekly"),
    ],
)
def test_the_tightest_window(windows, tightest):
    found = Limits(windows).tightest(NOW)
    assert (found and found.name) == tightest


@pytest.mark.parametrize(
    ("limits", "is_stale"),
    [
        (Limits(), True),
        (Limits(fetched_at=NOW), False),
        (Limits(fetched_at=NOW - STALE_S), False),
        (Limits(fetched_at=NOW - STALE_S - 1), True),
        (Limits((main_window(1.0),), fetched_at=NOW), False),
        (Limits((main_window(1.0, NOW),), fetched_at=NOW), True),
    ],
)
def test_stale(limits, is_stale):
    assert limits.is_stale(NOW) is is_stale


@pytest.mark.parametrize(
    ("said", "is_used_up"),
    [
        ({}, True),
        ({"allowed": False}, True),
        ({"allowed": True}, False),
        ({"credits": CreditsInfo(False, False, "0")}, True),
        ({"credits": CreditsInfo(True, False, "5")}, False),
        ({"credits": CreditsInfo(False, True, None)}, False),
    ],
)
def test_an_account_is_used_up_unless_something_else_keeps_it_open(said, is_used_up):
    assert Limits((main_window(3.0), main_window(100.0, name="weekly")), **said).is_used_up(NOW) is is_used_up
    assert not Limits((main_window(100.0, NOW), METERED), **said).is_used_up(NOW)


@pytest.mark.parametrize(
    ("used", "active", "opening"),
    [
        ({"primary": "12", "secondary": "100"}, None, NOW + 9000),
        ({"primary": "100", "secondary": "12"}, "codex", NOW + 300),
        ({"primary": "100", "secondary": "100"}, None, NOW + 9000),
        ({"primary": "99", "secondary": "98"}, None, NOW + 300),
        ({"secondary": "98"}, None, NOW + 9000),
        ({"primary": "40", "spark-primary": "100"}, "codex_spark", NOW + 60),
        ({"primary": "100", "spark-primary": "100"}, "codex_spark", NOW + 300),
    ],
)
def test_when_a_used_up_plan_opens_again(used, active, opening):
    lengths = {"primary": ("300", 300), "secondary": ("10080", 9000), "spark-primary": ("300", 60)}
    fields = {} if active is None else {"x-codex-active-limit": active}
    for slot, percent in reversed(used.items()):
        minutes, resets_in = lengths[slot]
        fields[f"x-codex-{slot}-used-percent"] = percent
        fields[f"x-codex-{slot}-window-minutes"] = minutes
        fields[f"x-codex-{slot}-reset-at"] = str(int(NOW + resets_in))
    assert parse_headers(fields, NOW).find_plan_reset(NOW) == opening


@pytest.mark.parametrize(
    ("document", "spent"),
    [
        ({"spend_control": {"reached": True, "individual_limit": None}}, "spend_control"),
        ({"spend_control": {"reached": False}, "rate_limit_reached_type": None}, None),
        ({"rate_limit_reached_type": {"type": "rate_limit_reached"}}, None),
        ({"rate_limit_reached_type": {"type": "workspace_owner_credits_depleted"}}, "workspace_owner_credits_depleted"),
        ({"rate_limit_reached_type": "workspace_member_usage_limit_reached"}, "workspace_member_usage_limit_reached"),
        ({"rate_limit_reached_type": 5, "spend_control": []}, None),
    ],
)
def test_credits_and_spending_limits_in_the_usage_document(document, spent):
    seen = parse_usage({"plan_type": "business", "rate_limit": {"allowed": True}, **document}, NOW)
    assert (seen.spent, seen.tells_spent) == (spent, True)
    assert Limits((), "business", allowed=True, spent=spent).is_used_up(NOW) is (spent is not None)


@pytest.mark.parametrize(
    ("reached", "spent"),
    [("rate_limit_reached", None), ("workspace_member_credits_depleted", "workspace_member_credits_depleted")],
)
def test_credits_and_spending_limits_in_headers(reached, spent):
    seen = parse_headers({"x-codex-rate-limit-reached-type": reached, "x-codex-plan-type": "business"}, NOW)
    assert seen.spent == spent
