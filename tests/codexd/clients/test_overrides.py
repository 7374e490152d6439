"""What wins over the settings file that codexd edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codexd.clients.overrides import find_codex_overrides, find_overrides, in_file, read_claude_sources, shell

OWN = Path("/home/me/.claude/settings.json")
CODEXD = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8081", "ANTHROPIC_AUTH_TOKEN": "codexd"}
WANTED = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8081"}
KEY = {**WANTED, "ANTHROPIC_AUTH_TOKEN": "k-1"}


def above(**variables):
    return in_file(Path("/project/.claude/settings.json"), variables)


@pytest.mark.parametrize(
    ("sources", "wanted", "reasons"),
    [
        pytest.param([], WANTED, [], id="nothing"),
        pytest.param([shell({"CLAUDE_CODE_USE_BEDROCK": "1"})], WANTED, ["Amazon Bedrock"], id="bedrock-in-the-shell"),
        pytest.param([shell({"CLAUDE_CODE_USE_BEDROCK": "0"})], WANTED, [], id="bedrock-switched-off"),
        pytest.param([shell({"CLAUDE_CODE_USE_FOUNDRY": "true"})], WANTED, ["Microsoft Foundry"], id="foundry"),
        pytest.param(
            [above(CLAUDE_CODE_USE_VERTEX=""), shell({"CLAUDE_CODE_USE_VERTEX": "1"})],
            WANTED,
            [],
            id="switched-off-by-what-wins",
        ),
        pytest.param([shell({"ANTHROPIC_BASE_URL": "http://x"})], WANTED, [], id="the-file-wins-over-the-shell"),
        pytest.param(
            [above(ANTHROPIC_BASE_URL="http://me:pw@x")], WANTED, ["set to http://x in /pro"], id="project-url"
        ),
        pytest.param([above(ANTHROPIC_BASE_URL="http://127.0.0.1:8081/")], WANTED, [], id="the-same-url"),
        pytest.param([above(ANTHROPIC_BASE_URL="")], WANTED, ["Anthropic's servers"], id="empty-url"),
        pytest.param([above(ANTHROPIC_AUTH_TOKEN="k-2")], KEY, ["another key"], id="another-key"),
        pytest.param([above(ANTHROPIC_AUTH_TOKEN="k-2")], WANTED, [], id="any-key-will-do"),
        pytest.param(
            [above(CLAUDE_CODE_USE_BEDROCK=1, ANTHROPIC_BASE_URL="http://x")],
            WANTED,
            ["Amazon Bedrock", "http://x"],
            id="two",
        ),
    ],
)
def test_what_wins(sources, wanted, reasons):
    own = in_file(OWN, {**CODEXD, **wanted})
    stronger = [source for source in sources if "shell" not in source.name]
    found = find_overrides([*stronger, own, *(each for each in sources if each not in stronger)], OWN, wanted)
    assert len(found) == len(reasons)
    assert all(reason in text for reason, text in zip(reasons, found, strict=True))
    assert "pw" not in " ".join(found)


def test_without_a_base_url_in_the_file_the_shells_counts():
    (reason,) = find_overrides([in_file(OWN, {}), shell({"ANTHROPIC_BASE_URL": "http://x"})], OWN, {})
    assert "set to http://x in the environment of this shell" in reason


def test_the_order_of_claude_codes_settings(tmp_path):
    managed, project = tmp_path / "etc", tmp_path / "project"
    places = {
        managed / "managed-settings.d" / "20.json": "second",
        managed / "managed-settings.d" / "10.json": "first",
        managed / "managed-settings.json": "base",
        project / ".claude" / "settings.local.json": "local",
        project / ".claude" / "settings.json": "shared",
    }
    for path, value in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"env": {"X": value}}))
    found = read_claude_sources(OWN, project, managed)
    assert [source.variables["X"] for source in found] == ["second", "first", "base", "local", "shared"]
    assert "administrator" in found[0].remedy
    own = project / ".claude" / "settings.json"
    assert [source.variables["X"] for source in read_claude_sources(own, project, managed)][-1] == "local"
    assert read_claude_sources(own, None, tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"env": 5}', '{"env": null}', "\ufeff{}", "[" * 100_000])
def test_a_file_that_claude_code_cant_read_sets_nothing(tmp_path, text):
    (tmp_path / "managed-settings.json").write_text(text)
    assert read_claude_sources(OWN, None, tmp_path) == []


@pytest.mark.parametrize(
    ("config", "managed", "reasons"),
    [
        pytest.param({"model_provider": "codexd"}, None, [], id="nothing"),
        pytest.param({"model_provider": "codexd", "profile": "work"}, None, ["selects the profile work"], id="profile"),
        pytest.param({"model_provider": "codexd", "profile": 5}, None, [], id="no-profile"),
        pytest.param({"model_provider": "codexd"}, 'model_provider = "corp"', ["model_provider = corp"], id="managed"),
        pytest.param({"model_provider": "codexd"}, 'model = "x"', [], id="managed-otherwise"),
        pytest.param({"model_provider": "codexd"}, "broken", [], id="managed-unreadable"),
    ],
)
def test_what_wins_over_the_codex_clis_file(tmp_path, config, managed, reasons):
    path = tmp_path / "managed_config.toml"
    if managed is not None:
        path.write_text(managed)
    found = find_codex_overrides(Path("/home/me/.codex/config.toml"), config, path)
    assert len(found) == len(reasons)
    assert all(reason in text for reason, text in zip(reasons, found, strict=True))
