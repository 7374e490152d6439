"""Who calls, and in which API's shape."""

import pytest

from codexd.translation.client_api import Client
from codexd.web.caller import Shape, find_caller

BEARER = {"authorization": "Bearer x"}


def codex_rs(name, suffix="", version="0.171.0"):
    """The headers of codex-rs's app server under the name of its host."""
    return {"user-agent": f"{name}/{version} (Debian 12.0.0; x86_64) xterm{suffix}", "originator": name}


@pytest.mark.parametrize(
    ("path", "query", "headers", "shape"),
    [
        ("/v1/messages", "beta=true", {}, Shape.ANTHROPIC),
        ("/v1/messages/batches", "", BEARER, Shape.ANTHROPIC),
        ("/v1/complete", "", {}, Shape.ANTHROPIC),
        ("/v1/completions", "", {}, Shape.OPENAI),
        ("/v1/chat/completions", "", {"anthropic-version": "2023-06-01"}, Shape.OPENAI),
        ("/v1/responses", "", {"x-api-key": "k"}, Shape.OPENAI),
        ("/backend-api/codex/models", "", BEARER, Shape.CODEX),
        ("/v1/models", "client_version=0.169.0", BEARER, Shape.CODEX),
        ("/v1/models", "client_version=", {}, Shape.CODEX),
        ("/v1/responses", "", {"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)"}, Shape.CODEX),
        ("/v1/responses/compact", "", {"user-agent": "codex-tui/0.169.0", **BEARER}, Shape.CODEX),
        ("/v1/responses", "", codex_rs("Codex Desktop"), Shape.CODEX),
        ("/v1/models", "", codex_rs("zed"), Shape.CODEX),
        ("/v1/responses", "", {"user-agent": "codexd/0.1.0 (codex proxy)"}, Shape.OPENAI),
        ("/v1/messages", "", {"user-agent": "codex_exec/0.169.0"}, Shape.ANTHROPIC),
        ("/v1/models", "limit=1000", {"anthropic-version": "2023-06-01", **BEARER}, Shape.ANTHROPIC),
        ("/v1/models", "", {"anthropic-beta": "x"}, Shape.ANTHROPIC),
        ("/v1/models", "", {"user-agent": "claude-code/2.1.330", **BEARER}, Shape.ANTHROPIC),
        ("/v1/models", "", {"user-agent": "Anthropic/Python 1.0", **BEARER}, Shape.ANTHROPIC),
        ("/v1/models", "", {"x-api-key": "k"}, Shape.ANTHROPIC),
        ("/v1/models", "", {"x-api-key": "k", **BEARER}, Shape.OPENAI),
        ("/v1/models", "", {"user-agent": "OpenAI/Python 2.0", **BEARER}, Shape.OPENAI),
        ("/v1/models", "", {}, Shape.OPENAI),
    ],
)
def test_the_first_sign_counts(path, query, headers, shape):
    assert find_caller(path, query, headers).shape is shape


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"user-agent": "claude-cli/2.1.330 (external, sdk-cli)"}, Client.CLAUDE_CODE),
        ({"user-agent": "claude-code/2.1.330"}, Client.OTHER),
        ({"user-agent": "Anthropic/Python 1.0"}, Client.OTHER),
        ({"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)"}, Client.CODEX),
        ({"user-agent": "codex-tui/0.169.0"}, Client.CODEX),
        ({"user-agent": "Mozilla/5.0", "originator": "codex_vscode"}, Client.CODEX),
        (codex_rs("Codex Desktop", " (Codex Desktop; 26.1126.1)"), Client.CODEX),
        (codex_rs("zed", " (zed; 0.210.0)"), Client.CODEX),
        (codex_rs("xcode"), Client.CODEX),
        (codex_rs("t3code_desktop", " (t3code_desktop; 1.0.0-beta.2)"), Client.CODEX),
        (codex_rs("zed", version="0.172.0-alpha.3"), Client.CODEX),
        ({"user-agent": "anything", "x-codex-window-id": "w"}, Client.CODEX),
        ({"user-agent": "anything", "x-codex-turn-metadata": "{}"}, Client.CODEX),
        ({"user-agent": codex_rs("zed")["user-agent"]}, Client.OTHER),
        ({"user-agent": codex_rs("zed")["user-agent"], "originator": "other"}, Client.OTHER),
        ({"user-agent": "opencode/1.4.2 (linux 6.1.0; x64)", "originator": "opencode"}, Client.OTHER),
        ({"user-agent": "zed/0.210.0", "originator": "zed"}, Client.OTHER),
        ({"user-agent": "codex-helper/1.0"}, Client.OTHER),
        ({"user-agent": "OpenAI/JS 6.1", "session-id": "s", "thread-id": "t"}, Client.OTHER),
        ({"user-agent": "codexd/0.1.0 (codex proxy)", "originator": "codexd"}, Client.OTHER),
        ({}, Client.OTHER),
    ],
)
def test_the_client_by_its_name(headers, client):
    for path in ("/v1/messages", "/v1/responses", "/v1/chat/completions", "/v1/models"):
        assert find_caller(path, "", headers).client is client
