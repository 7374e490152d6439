import json
from pathlib import Path

import pytest

from codexd.accounts.imports import codex_auth_path, read_codex_auth
from codexd.errors import LoginFileInvalid


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"CODEX_HOME": "/x/codex", "HOME": "/home/ann"}, "/x/codex/auth.json"),
        ({"CODEX_HOME": "", "HOME": "/home/ann"}, "/home/ann/.codex/auth.json"),
        ({}, str(Path.home() / ".codex/auth.json")),
    ],
)
def test_where_codex_keeps_its_login(environ, path):
    assert codex_auth_path(environ) == Path(path)


def test_the_whole_file_is_read(tmp_path, login):
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(login() | {"unknown": [1]}))
    assert read_codex_auth(path) == login() | {"unknown": [1]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "codex login"),
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"OPENAI_API_KEY":"sk-secret"}', "API key"),
        ('{"tokens":{}}', "tokens.access_token"),
        ('{"tokens":{"access_token":"secret-a","refresh_token":"secret-r"}}', "neither id_token nor access_token"),
    ],
)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path, content, words):
    path = tmp_path / "auth.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoginFileInvalid) as caught:
        read_codex_auth(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "codexctl accounts import" in str(caught.value)


def test_a_folder_in_its_place_is_named(tmp_path):
    with pytest.raises(LoginFileInvalid, match="can't be read"):
        read_codex_auth(tmp_path)
