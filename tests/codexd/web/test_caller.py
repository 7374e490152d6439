"""Which API a client speaks."""

import pytest

from codexd.web.caller import Shape, find_shape

BEARER = {"authorization": "Bearer x"}


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
    assert find_shape(path, query, headers) is shape
