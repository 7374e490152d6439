"""Where a client reaches codexd, and the request that proves it."""

import pytest

from codexd.clients.address import Address, as_claude_code, as_codex_cli, find_address, hide_user_info, send_proof
from codexd.settings.schema import Settings

UNREACHABLE = Address("http://127.0.0.1:1", "k-1")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("http://[::]:9000", "http://[::1]:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://192.168.1.5:9000", "http://192.168.1.5:9000"),
    ],
)
def test_an_address_that_can_be_called(address, url):
    assert find_address((address,), Settings()) == Address(url, "codexd")


def test_without_a_key_there_is_a_token_all_the_same():
    address = find_address(("http://127.0.0.1:8081",), Settings())
    assert (address.token, address.key) == ("codexd", None)
    assert "x-api-key" not in as_codex_cli(address, "gpt-5.5").headers


def test_a_key_is_sent_and_not_shown():
    assert UNREACHABLE.key == "k-1"
    assert as_claude_code(UNREACHABLE).headers["authorization"] == "Bearer k-1"
    assert as_codex_cli(UNREACHABLE, "gpt-5.5").headers["x-api-key"] == "k-1"
    assert "k-1" not in f"{UNREACHABLE!r} {as_claude_code(UNREACHABLE)!r}"


def test_a_password_in_a_url_is_hidden():
    assert hide_user_info("see https://me:secret@example.com/v1") == "see https://example.com/v1"
    assert hide_user_info("https://example.com/@me") == "https://example.com/@me"


async def test_without_a_server_the_answer_says_so():
    answer = await send_proof(UNREACHABLE, as_claude_code(UNREACHABLE))
    assert answer.status is None
    assert answer.problem.startswith("http://127.0.0.1:1 can't be reached: ")
