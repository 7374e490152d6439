"""Secrets out of texts and values."""

from __future__ import annotations

import json

import pytest

from codexd.record.redaction import redact, redact_value

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lb25lIn0.c2lnbmF0dXJl"
SECRETS = (
    JWT,
    "rt_0123456789abcdef",
    "rt.1.AAAbbbCCCddd",
    "gAAAAABmZmZmZmZmZmZm",
    "sk-ant-api03-0123456789abcdef",
    "hunter2",
)


@pytest.mark.parametrize(
    "template",
    [
        "Authorization: Bearer {}",
        "{{'authorization': 'Bearer {}', 'accept': '*/*'}}",
        "[(b'authorization', b'Bearer {}')]",
        "(b'x-api-key', b'{}')",
        '{{"refresh_token": "{}", "n": 3}}',
        "token={}&x=1",
        "https://localhost/callback?code={}&state=x",
        'server.api_key = "{}"',
        r'{{"error": "{{\"api_key\": \"{}\"}}"}}',
        "/callback?next=%2Fx%3Faccess_token%3D{}%26x",
        "https://localhost/callback%3Fcode%3D{}%26state%3Dx",
        "password: {}",
    ],
)
def test_secrets_go_by_the_name_they_stand_under(template):
    for secret in SECRETS:
        redacted = redact(template.format(secret))
        assert secret not in redacted
        assert redact(redacted) == redacted


@pytest.mark.parametrize("secret", SECRETS[:-1])
def test_secrets_go_by_their_shape(secret):
    assert secret not in redact(f"Bearer%20{secret}")
    text = f"it said {secret!r}, and {secret}"
    assert secret not in redact(text)
    assert redact(text).startswith("it said '[redacted]', and")


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=1234 output_tokens=5 cached_tokens: 7",
        "max_tokens: must be an integer",
        "access_token=null",
        "the token of work@example.com has expired",
        "tokenizer: o200k",
        "every request must carry x-api-key: it is missing",
        "authorization: must be a string",
        "start_of_a_long_name at port 8081",
        "POST /v1/messages?beta=true 200",
    ],
)
def test_counts_and_words_stay(text):
    assert redact(text) == text


def test_fields_become_plain_json_without_secrets():
    fields = {
        "access_token": "opaque",
        "tokens": {"id_token": "opaque", "count": 3},
        "input_tokens": 12,
        "headers": {"Authorization": "Basic opaque"},
        "text": f"saw {JWT}",
        "list": (1, None, float("nan")),
        "path": ValueError("x"),
    }
    assert redact_value(fields) == {
        "access_token": "[redacted]",
        "tokens": {"id_token": "[redacted]", "count": 3},
        "input_tokens": 12,
        "headers": {"Authorization": "[redacted]"},
        "text": "saw [redacted]",
        "list": [1, None, "nan"],
        "path": "x",
    }


def test_nested_without_end():
    loop = {}
    loop["self"] = loop
    assert json.dumps(redact_value(loop))
