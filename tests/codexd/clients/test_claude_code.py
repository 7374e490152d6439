import pytest

from codexd.clients.address import Address, find_address
from codexd.clients.claude_code import (
    DISCOVERY,
    PERMISSION_MODE,
    Mode,
    find_mode,
    show_value,
    through_codexd,
    to_anthropic,
)
from codexd.settings.load import load
from codexd.settings.schema import Settings

ADDRESS = Address("http://127.0.0.1:8081", "codexd")
WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"


def test_the_key_of_the_settings_is_the_token():
    settings = load(environ={}, flags={"server.api_key": "k-1"}).settings
    wanted = through_codexd(find_address(("http://127.0.0.1:1",), settings), settings, {})
    assert wanted["ANTHROPIC_AUTH_TOKEN"] == "k-1"


@pytest.mark.parametrize(
    ("value", "own", "wanted"),
    [
        (None, None, "272000"),
        ("1000000", None, "272000"),
        ("200000", None, None),
        (200000, None, None),
        ("2000", None, "272000"),
        ("many", None, "272000"),
        (None, 150_000, None),
        (None, 900_000, "272000"),
        (None, 50_000, "272000"),
    ],
)
def test_the_window_is_never_wider_than_the_models_and_never_widens_the_users(value, own, wanted):
    before = {} if value is None else {WINDOW: value}
    assert through_codexd(ADDRESS, Settings(), before, window=own).get(WINDOW) == wanted


@pytest.mark.parametrize(("before", "wanted"), [({}, "1"), ({"X": "0"}, "1"), ({DISCOVERY: "0"}, None)])
def test_the_picker_lists_the_accounts_models_unless_its_user_says_no(before, wanted):
    assert through_codexd(ADDRESS, Settings(), before).get(DISCOVERY) == wanted


def test_the_window_is_that_of_the_smallest_mapped_model():
    settings = load(environ={}, flags={"models.opus": "gpt-6.1-terra", "models.haiku": "unheard-of"}).settings
    assert through_codexd(ADDRESS, settings, {})[WINDOW] == "272000"
    same = dict.fromkeys(("models.opus", "models.sonnet", "models.haiku", "models.fable"), "gpt-6.1-terra")
    assert through_codexd(ADDRESS, load(environ={}, flags=same).settings, {})[WINDOW] == "500000"


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
