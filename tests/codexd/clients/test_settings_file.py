"""Reading a settings file with care, and the two formats that clients use."""

import codecs
import json
import tomllib

import pytest

from codexd import bounds
from codexd.clients.settings_file import (
    ENV_IN_JSON,
    TOML,
    back_up,
    check_writable,
    name_backup,
    read_settings,
    replace,
    tidy,
)
from codexd.errors import ClientFileRefused

FORMATS = [ENV_IN_JSON, TOML]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("data", [None, b"", b" \n", codecs.BOM_UTF8])
def test_a_file_that_says_nothing_means_no_settings(tmp_path, form, data):
    path = tmp_path / "settings"
    if data is not None:
        path.write_bytes(data)
    content = read_settings(path, form)
    assert content.data == data
    assert content.settings_text == form.blank
    assert form.is_empty(content.settings_text)
    assert form.read(content.settings_text, "name") is None


@pytest.mark.parametrize("form", FORMATS)
def test_a_name_is_put_read_and_dropped(form):
    text = form.put(form.blank, "name", form.dump("größe"))
    assert form.parse(form.read(text, "name")) == "größe"
    assert not form.is_empty(text)
    assert form.has_holder(text)
    assert form.is_empty(form.without_holder(form.drop(text, "name")))


def test_names_are_variables_in_json_and_keys_in_toml():
    assert json.loads(ENV_IN_JSON.put("{}", "A", '"1"')) == {"env": {"A": "1"}}
    assert tomllib.loads(TOML.put("", "a.b", '{ c = "1" }')) == {"a": {"b": {"c": "1"}}}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe{}", "is not UTF-8 text"),
        (b" " * (bounds.CLIENT_FILE_BYTES + 1), "is larger than 4 MiB"),
        (b"{", "can't be edited"),
        (b'{"env": {"A": "1", "A": "2"}}', 'it holds "A" twice'),
    ],
)
def test_what_can_not_be_edited_safely_is_refused(tmp_path, data, reason):
    path = tmp_path / "settings.json"
    path.write_bytes(data)
    with pytest.raises(ClientFileRefused) as refused:
        read_settings(path, ENV_IN_JSON)
    assert str(path) in str(refused.value)
    assert reason in str(refused.value)


def test_a_read_only_file_names_the_other_way(tmp_path):
    path = tmp_path / "settings.json"
    path.write_bytes(b"{}")
    path.chmod(0o400)
    with pytest.raises(ClientFileRefused, match="codexctl claude run"):
        check_writable(read_settings(path, ENV_IN_JSON))


def test_replacing_and_deleting(tmp_path):
    path = tmp_path / "new" / "settings.json"
    replace(read_settings(path, ENV_IN_JSON), b"{}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    replace(read_settings(path, ENV_IN_JSON), b"[]", 0o644)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"[]", 0o644)
    path.write_bytes(b"{}")
    replace(read_settings(path, ENV_IN_JSON), None)
    assert not path.exists()


def test_backups_get_names_of_their_own_and_leftovers_go(tmp_path):
    path = tmp_path / "settings.json"
    path.write_bytes(b"{}")
    content = read_settings(path, ENV_IN_JSON)
    first = name_backup(content)
    back_up(content, first)
    assert first.read_bytes() == b"{}"
    assert name_backup(content) != first
    tidy(content)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["settings.json", first.name]
