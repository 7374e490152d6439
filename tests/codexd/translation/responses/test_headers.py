"""The headers that a Responses request adds to codexd's own."""

import pytest
from support.responses_bodies import CODEX_HEADERS, CODEX_LITE, CODEX_TURN, read

from codexd.translation.responses.headers import with_compaction


def test_headers_of_the_codex_protocol_go_up_and_those_that_are_ours_do_not():
    lite = {**CODEX_HEADERS, "x-openai-internal-codex-responses-lite": "true", "x-codex-turn-state": "ts"}
    own = {"authorization": "Bearer x", "chatgpt-account-id": "y", "version": "9", "cookie": "c", "accept": "a"}
    sent = dict(read(CODEX_LITE, {**lite, **own}).headers)
    passed = {name: value for name, value in lite.items() if name not in ("user-agent", "originator")}
    assert sent == {**passed, "version": "0.171.0"}


def test_a_header_that_is_no_plain_text_stays_here():
    headers = read(CODEX_TURN, {**CODEX_HEADERS, "x-codex-turn-state": "ä", "thread-id": "ü"}).headers
    assert "x-codex-turn-state" not in headers
    assert all(value.isascii() for value in headers.values())


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"user-agent": "codex-tui/0.172.3 (Debian 12.0.0; x86_64)"}, "0.172.3"),
        ({"user-agent": "codex_exec/0.171.0", "version": "0.173.0"}, "0.173.0"),
        ({**CODEX_HEADERS, "user-agent": "Codex Desktop/0.171.0-alpha.2 (x)"}, "0.171.0"),
        ({"user-agent": "codex_exec", "version": "new"}, None),
        ({"user-agent": "OpenAI/Python 3.57.0", "version": "9.9.9"}, None),
    ],
)
def test_the_version_of_a_codex_client_goes_up(headers, version):
    assert read(CODEX_TURN, headers).headers.get("version") == version


@pytest.mark.parametrize(
    ("features", "sent"),
    [
        ("", "remote_compaction_v2"),
        ("a,remote_compaction_v2", "a,remote_compaction_v2"),
        ("a,b", "a,b,remote_compaction_v2"),
    ],
)
def test_a_compaction_names_its_beta_feature_once(features, sent):
    assert with_compaction({"x-codex-beta-features": features}) == {"x-codex-beta-features": sent}


def test_only_a_compaction_names_it():
    feature = "x-codex-beta-features"
    assert feature not in read({"model": "gpt-5.5", "input": "hi"}).headers
    trigger = {"model": "gpt-5.5", "input": [{"type": "compaction_trigger"}]}
    assert read(trigger).headers[feature] == "remote_compaction_v2"
