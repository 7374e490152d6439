"""The schema itself."""

from __future__ import annotations

import pytest

from codexd.settings.schema import SCHEMA, Settings, is_loopback


def test_every_setting_says_what_it_means():
    assert len(SCHEMA) == 32
    for setting in SCHEMA.values():
        assert setting.meaning
        assert setting.environ[0] == "CODEXD_" + setting.name.replace(".", "_").upper()


def test_defaults():
    settings = Settings()
    assert (settings.server.host, settings.server.port, settings.server.api_key) == ("127.0.0.1", 8081, None)
    assert settings.models.opus[0] == settings.models.sonnet[0] == settings.models.default[0] == "gpt-5.5"
    assert (settings.models.haiku[0], settings.models.codex[0]) == ("gpt-5.4-mini", "gpt-5.3-codex")
    assert settings.reasoning == type(settings.reasoning)("high", "medium", "medium", "low")
    assert (settings.upstream.connect_timeout, settings.upstream.idle_timeout) == (15, 300)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com", "", "127.0.0.1.example.com", "::ffff:10.0.0.1"])
def test_not_loopback(host):
    assert not is_loopback(host)
