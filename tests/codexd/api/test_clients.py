"""What ``claude.*`` and ``codex.*`` take as a URL, a key and a folder."""

import pytest

from codexd.api.clients import ClaudeDirect, ClaudeSet, ClientPlace
from codexd.errors import RequestInvalid


@pytest.mark.parametrize(
    "url",
    ["http://h", "https://h.example.com:8443/base?x=1", "http://[::1]:4000", "https://user@h", "http://127.0.0.1"],
)
def test_urls(url):
    assert ClaudeSet(api_url=url).api_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h.example.com",
        "ftp://h",
        "https://",
        "https:///path",
        "https://h:99999",
        "http://[::1",
        "http://h/\n",
        "http://hé",
    ],
)
def test_what_is_not_a_url(url):
    with pytest.raises(RequestInvalid, match="api_url: must be an http:// or https:// URL"):
        ClaudeSet(api_url=url)


@pytest.mark.parametrize("key", ["sk-ant-1", "!~", None])
def test_keys(key):
    assert ClaudeDirect(api_key=key).api_key == key


@pytest.mark.parametrize("key", ["", "a b", "a\nb: c", "schlüssel", "\x7f"])
def test_what_cannot_stand_in_a_header(key):
    with pytest.raises(RequestInvalid, match="api_key: must be printable ASCII without spaces"):
        ClaudeDirect(api_key=key)


def test_a_key_is_not_shown():
    assert "sk-ant-1" not in repr(ClaudeDirect(api_key="sk-ant-1"))


@pytest.mark.parametrize(
    ("folder", "passes"), [("/home/me", True), ("/", True), ("me", False), ("", False), ("/a\0b", False)]
)
def test_folders_are_absolute(folder, passes):
    if passes:
        assert ClientPlace(config_dir=folder).config_dir == folder
    else:
        with pytest.raises(RequestInvalid, match="config_dir: must be an absolute path"):
            ClientPlace(config_dir=folder)
