import pytest

from codexd.clients.address import Address, find_address
from codexd.clients.claude_code import (
    DISCOVERY,
    PERMISSION_MODE,
    WINDOW,
    Mode,
    find_mode,
    show_value,
    through_codexd,
    to_anthropic,
    window_key,
)
from codexd.settings.load import load
from codexd.settings.schema import Settings

ADDRESS = Address("http://127.0.0.1:8081", "codexd")
ENV_WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"


def test_the_key_of_the_settings_is_the_token():
    settings = load(environ={}, flags={"server.api_key": "k-1"}).settings
    wanted = through_codexd(find_address(("http://127.0.0.1:1",), settings), settings, {})
    assert wanted["ANTHROPIC_AUTH_TOKEN"] == "k-1"


SOL = window_key("claude-gpt-6.2-sol")


@pytest.mark.parametrize(
    ("before", "everywhere", "default", "sol"),
    [
        ({}, "untouched", 272_000, 500_000),
        ({ENV_WINDOW: "1000000"}, None, 272_000, 500_000),
        ({ENV_WINDOW: "200000"}, "untouched", 272_000, 500_000),
        ({ENV_WINDOW: 200_000}, "untouched", 272_000, 500_000),
        ({ENV_WINDOW: "2000"}, None, 272_000, 500_000),
        ({ENV_WINDOW: "many"}, None, 272_000, 500_000),
        ({WINDOW: 150_000}, "untouched", "untouched", "untouched"),
        ({WINDOW: 900_000}, "untouched", 272_000, 500_000),
        ({WINDOW: 50_000}, "untouched", 272_000, 500_000),
        ({WINDOW: "auto"}, "untouched", 272_000, 500_000),
        ({SOL: 400_000}, "untouched", 272_000, "untouched"),
        ({SOL: 900_000}, "untouched", 272_000, 500_000),
        ({SOL: "auto", WINDOW: 150_000}, "untouched", "untouched", 500_000),
    ],
)
def test_a_window_is_never_larger_than_its_models_and_the_users_own_is_kept(before, everywhere, default, sol):
    wanted = through_codexd(ADDRESS, Settings(), before)
    assert wanted.get(ENV_WINDOW, "untouched") == everywhere
    assert wanted.get(WINDOW, "untouched") == default
    assert wanted.get(SOL, "untouched") == sol
    assert window_key("claude-gpt-5.5") not in wanted


def test_a_family_has_the_window_of_its_model():
    settings = load(environ={}, flags={"models.opus": "gpt-6.1-terra"}).settings
    wanted = through_codexd(ADDRESS, settings, {window_key("claude-sonnet-5-5"): 1_000_000})
    assert wanted[window_key("claude-opus-5-5")] == 500_000
    assert wanted[window_key("claude-sonnet-5-5")] == 272_000
    assert window_key("claude-fable-5-2") not in wanted


@pytest.mark.parametrize(
    ("chosen", "wanted"), [(None, "opus"), ("glm-4.6", "opus"), ("sonnet", None), ("gpt-5.5", None)]
)
def test_the_pickers_default_is_a_name_that_codexd_serves(chosen, wanted):
    before = {} if chosen is None else {"ANTHROPIC_DEFAULT_MODEL": chosen}
    assert through_codexd(ADDRESS, Settings(), before).get("ANTHROPIC_DEFAULT_MODEL") == wanted


@pytest.mark.parametrize(("before", "wanted"), [({}, "1"), ({"X": "0"}, "1"), ({DISCOVERY: "0"}, None)])
def test_the_picker_lists_the_accounts_models_unless_its_user_says_no(before, wanted):
    assert through_codexd(ADDRESS, Settings(), before).get(DISCOVERY) == wanted


@pytest.mark.parametrize(
    ("model", "codexd_drops", "anthropic_drops"),
    [
        ("opus", False, False),
        ("opusplan", False, False),
        ("claude-sonnet-4-5[1m]", False, False),
        ("gpt-5.5", False, True),
        ("codex", False, True),
        ("claude-gpt-5.5", False, True),
        ("glm-4.6", True, True),
    ],
)
def test_a_model_that_the_server_does_not_know_goes(model, codexd_drops, anthropic_drops):
    before = {"ANTHROPIC_MODEL": model}
    assert ("ANTHROPIC_MODEL" in through_codexd(ADDRESS, Settings(), before)) == codexd_drops
    assert ("ANTHROPIC_MODEL" in to_anthropic(None, before)) == anthropic_drops


@pytest.mark.parametrize(
    ("model", "goes"),
    [("gpt-5.2-codex", True), ("claude-gpt-5.5", True), ("glm-4.6", True), ("claude-opus-5-5", False)],
)
def test_a_familys_model_that_anthropic_does_not_know_goes_with_its_texts(model, goes):
    names = [f"ANTHROPIC_DEFAULT_OPUS_MODEL{part}" for part in ("", "_NAME", "_DESCRIPTION")]
    wanted = to_anthropic(None, {names[0]: model})
    assert all((name in wanted) == goes for name in names)


def test_claude_code_asks_first_only_if_wanted():
    assert PERMISSION_MODE not in through_codexd(ADDRESS, Settings(), {})
    assert through_codexd(ADDRESS, Settings(), {}, asks_first=True)[PERMISSION_MODE] == "default"


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        (None, Mode.ANTHROPIC),
        ("", Mode.ANTHROPIC),
        ("http://127.0.0.1:8081", Mode.CODEXD),
        ("http://127.0.0.1:8081/", Mode.CODEXD),
        ("http://127.0.0.1:8082", Mode.OTHER),
        (5, Mode.OTHER),
    ],
)
def test_where_a_base_url_leads(url, mode):
    assert find_mode(url, ADDRESS) is mode


def test_secrets_are_not_shown():
    assert show_value("ANTHROPIC_API_KEY", "sk-ant-1") == "(secret)"
    assert show_value("ANTHROPIC_AUTH_TOKEN", "codexd") == "codexd"
    assert show_value("ANTHROPIC_BASE_URL", "https://me:pw@host/x") == "https://host/x"
