import pytest

from codexctl.render import plans as render
from codexctl.render.text import Style

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)
TERMINAL = Style(now=NOW, width=80, colour=True)
WIDE = Style(now=NOW, width=80)
REF = {
    "id": "0123456789ab",
    "email": "work@example.com",
    "label": "work@example.com",
    "plan": "plus",
    "simulated": False,
}


def window(name="5h", used_percent=62.0, resets_at=NOW + 7800, limit=None):
    return {
        "name": name,
        "used_percent": used_percent,
        "window_seconds": 18000,
        "resets_at": resets_at,
        "limit": limit,
    }


def quota(**changes):
    return {
        "account": REF,
        "windows": [
            window(),
            window("weekly", 17, NOW + 5 * 86400 + 3 * 3600),
            window("spark 5h", 100, None, "spark"),
        ],
        "tightest": "5h",
        "credits": None,
        "fetched_at": NOW - 200,
        "stale": False,
        "cooldown_until": None,
        "error": None,
    } | changes


def model(**changes):
    return {
        "id": "gpt-5.5",
        "name": "GPT-5.5",
        "description": None,
        "context_window": 272000,
        "efforts": ["low", "medium", "high"],
        "default_effort": "medium",
        "listed": True,
        "offered": True,
        "refused": False,
        "used_by": [],
    } | changes


def models(*listed, **changes):
    result = {"account": REF, "models": list(listed), "source": "backend", "fetched_at": NOW - 200, "error": None}
    return result | changes


@pytest.mark.parametrize("style", [PIPE, Style(NOW, 60)])
def test_quota_in_a_pipe_and_on_a_narrow_terminal_has_no_bars(style):
    assert render.quotas({"accounts": [quota()]}, style)[1:4] == [
        "  WINDOW    USED  RESETS",
        "  5h         62%  in 2 h 10 min  tightest",
        "  weekly     17%  in 5 d 3 h",
    ]


def test_quota_on_a_terminal():
    assert render.quotas({"accounts": [quota()]}, WIDE) == [
        "work@example.com, plan plus",
        "  WINDOW    USED                       RESETS",
        "  5h        ████████████░░░░░░░░  62%  in 2 h 10 min  tightest",
        "  weekly    ███░░░░░░░░░░░░░░░░░  17%  in 5 d 3 h",
        "  spark 5h  ████████████████████ 100%",
        "  updated   3 min ago",
    ]


def test_a_metered_limit_of_the_same_name_is_not_the_tightest():
    lines = render.quotas({"accounts": [quota(windows=[window(limit="spark"), window()])]}, PIPE)
    assert ["tightest" in line for line in lines[2:4]] == [False, True]


def test_stale_limited_and_refused():
    changes = {"stale": True, "cooldown_until": NOW + 6 * 86400, "error": "The backend is away."}
    lines = render.quotas({"accounts": [quota(**changes)]}, PIPE)
    assert lines[5].startswith("  limited   for 6 d, until 2027-01-")
    assert lines[6:] == [
        "  updated   3 min ago, stale; `codexctl quota --refresh` fetches new figures",
        "  Not refreshed: The backend is away.",
    ]
    over = render.quotas({"accounts": [quota(cooldown_until=NOW - 1)]}, PIPE)
    assert not any("limited" in line for line in over)


@pytest.mark.parametrize(
    ("has_credits", "unlimited", "balance", "words"),
    [
        (False, False, None, "none"),
        (True, False, "12.50", "12.50"),
        (True, False, None, "some"),
        (True, True, "1", "unlimited"),
    ],
)
def test_credits(has_credits, unlimited, balance, words):
    held = {"has_credits": has_credits, "unlimited": unlimited, "balance": balance}
    assert f"  credits   {words}" in render.quotas({"accounts": [quota(credits=held)]}, PIPE)


def test_no_figures_yet():
    nothing = quota(windows=[], tightest=None, fetched_at=None, stale=True)
    assert render.quotas({"accounts": [nothing]}, PIPE) == [
        "work@example.com, plan plus",
        "  updated   never; `codexctl quota --refresh` fetches figures",
    ]


def test_several_accounts_and_none():
    both = render.quotas({"accounts": [quota(), quota()]}, PIPE)
    assert both.count("") == 1
    assert "codexctl accounts add" in "\n".join(render.quotas({"accounts": []}, PIPE))


@pytest.mark.parametrize(("used", "colour"), [(10, 32), (80, 33), (100, 31)])
def test_bars_have_the_colour_of_what_is_used(used, colour):
    lines = render.quotas({"accounts": [quota(windows=[window(used_percent=used)])]}, TERMINAL)
    assert f"\x1b[{colour}m█" in lines[2]
    stale = render.quotas({"accounts": [quota(windows=[window(used_percent=used)], stale=True)]}, TERMINAL)
    assert "\x1b[2m█" in stale[2]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_windows_fit_the_terminal(width):
    windows = [window("a-model-with-a-name-that-is-rather-long 5h", limit="a")]
    lines = render.quotas({"accounts": [quota(windows=windows)]}, Style(now=NOW, width=width))
    assert max(len(line) for line in lines[:3]) <= width


def test_models():
    hidden = model(id="codex-auto", context_window=None, efforts=[], default_effort=None, listed=False)
    refused = model(id="gpt-6", refused=True, used_by=["models.opus", "models.aliases mine"])
    missing = model(id="gpt-mini", listed=False, offered=False, used_by=["models.haiku"], default_effort=None)
    assert render.models(models(model(), refused, hidden, missing), PIPE)[3] == "gpt-5.5\t272,000\tlow medium* high"
    assert render.models(models(model(), refused, hidden, missing), WIDE) == [
        "work@example.com, plan plus",
        "Fetched from the backend 3 min ago.",
        "MODEL          WINDOW  EFFORTS           SETTINGS",
        "gpt-5.5       272,000  low medium* high",
        "gpt-6         272,000  low medium* high  opus mine",
        "                                         (refused)",
        "codex-auto                               (hidden)",
        "gpt-mini      272,000  low medium high   haiku",
        "                                         (not offered)",
        "* the default effort, for requests that do not set one",
    ]


def test_models_of_the_built_in_list():
    lines = render.models(models(model(), source="built-in", fetched_at=None, error="It is offline."), PIPE)
    assert lines[1].startswith("The backend's list is not known yet; this is the built-in one.")
    assert lines[2] == "Not refreshed: It is offline."


def test_models_asked_for_now():
    assert render.models(models(model(), fetched_at=NOW), PIPE)[1] == "Fetched from the backend just now."


@pytest.mark.parametrize("name", ["gpt-5.5", "gpt-6.1-terra", "gpt-daybreak-blue-latest"])
def test_models_fit_80_columns_with_nothing_cut(name):
    efforts = ["low", "medium", "high", "xhigh", "max", "ultra"]
    uses = [f"models.{name}" for name in ("opus", "sonnet", "fable", "haiku", "codex", "default")]
    lines = render.models(models(model(id=name, efforts=efforts, used_by=uses)), Style(now=NOW, width=80))
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_no_models():
    lines = render.models(models(), PIPE)
    assert lines[-1] == "The backend offers this account no models."


def test_no_control_sequence_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07"
    lines = render.models(models(model(id=nasty, efforts=[nasty], used_by=[nasty]), error=nasty), PIPE)
    held = {"has_credits": True, "unlimited": False, "balance": nasty}
    lines += render.quotas({"accounts": [quota(windows=[window(nasty)], credits=held, error=nasty)]}, PIPE)
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07")
