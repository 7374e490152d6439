"""Claude Code's settings files as users have them: set up and undone byte for byte, or refused with a reason."""

import errno
import json
import os
import stat

import pytest
from support.settings_user import BOM, SettingsUser

from codexd.clients import claude_code
from codexd.clients.address import Address
from codexd.clients.claude_code import BASE_URL, OWN_KEYS, own_names
from codexd.clients.set_up import adopt, carry_out, prepare
from codexd.clients.settings_file import ENV_IN_JSON, check_writable, read_settings
from codexd.clients.undo import UndoFile, UndoRecord
from codexd.errors import ClientFileRefused, FileUnreadable
from codexd.settings.schema import Settings
from codexd.translation.models.catalogue import BUILT_IN

ADDRESS = Address("http://127.0.0.1:8081", "codexd")

SHAPES = {
    "none at all": None,
    "empty": b"",
    "white space": b"\n  \n",
    "a mark and nothing else": BOM,
    "an empty object": b"{}",
    "an empty object over lines": b"{\n\n}\n",
    "as Claude Code writes it": b'{\n  "permissions": {\n    "allow": [\n      "Bash(ls:*)"\n    ]\n  },\n  "model": "opus"\n}',
    "a closing line end": b'{\n  "model": "opus"\n}\n',
    "tabs": b'{\n\t"model": "opus",\n\t"env": {\n\t\t"FOO": "bar"\n\t}\n}\n',
    "four spaces": b'{\n    "env": {\n        "FOO": "bar"\n    },\n    "theme": "dark"\n}\n',
    "byte-order mark": BOM + b'{\n  "model": "opus"\n}\n',
    "CRLF": b'{\r\n  "model": "opus",\r\n  "env": {\r\n    "FOO": "bar"\r\n  }\r\n}\r\n',
    "one line": b'{"model":"opus","env":{"FOO":"bar"}}',
    "one line with spaces": b'{ "model": "opus", "env": { "FOO": "bar" } }',
    "empty env": b'{\n  "env": {},\n  "model": "opus"\n}\n',
    "empty env over lines": b'{\n  "env": {\n  }\n}\n',
    "elsewhere": b'{"env": {"ANTHROPIC_BASE_URL": "https://api.z.ai/api/anthropic", "ANTHROPIC_AUTH_TOKEN": "zk-1",'
    b' "ANTHROPIC_MODEL": "glm-4.6", "ANTHROPIC_DEFAULT_OPUS_MODEL": "glm-4.6", "API_TIMEOUT_MS": "3000000"}}',
    "a key of Anthropic first": b'{\n  "env": {\n    "ANTHROPIC_API_KEY": "sk-ant-1",\n    "B": "2",\n    "C": "3"\n  }\n}\n',
    "only own keys": b'{\n  "env": {\n    "ANTHROPIC_API_KEY": "sk-ant-1"\n  }\n}\n',
    "a number that no window has": b'{"env": {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": "' + b"9" * 5000 + b'"}}',
    "numbers and escapes": b'{"env": {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": 900000, "ANTHROPIC_BASE_URL": "http:\\/\\/x"}}',
    "windows of its own": b'{\n  "autoCompactWindow": 900000,\n  "modelSettings": {\n    "claude-opus-5-5": {\n      '
    b'"effortLevel": "high"\n    },\n    "claude-gpt-6.1-sol": {"autoCompactWindow": "auto"}\n  }\n}\n',
    "hooks, plugins, other letters": '{\n  "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say \\"größer\\" 🎉"}]}]},\n'
    '  "enabledPlugins": {"a@b": true},\n  "statusLine": null,\n  "env": {"Ü": "ß"}\n}\n'.encode(),
}
BROKEN = {
    "comments": (b'{\n  // mine\n  "model": "opus"\n}', "line 2 column 3"),
    "trailing comma": (b'{"env": {"A": "1",}}', "without comments"),
    "cut off": (b'{"env": {"A": "1"', "can't be edited"),
    "a conflict of git": (b"<<<<<<< HEAD\n{}\n", "line 1 column 1"),
    "an array": (b"[]", "it does not hold a JSON object"),
    "env is not an object": (b'{"env": ["A=1"]}', '"env" is not an object'),
    "settings of models that are none": (b'{"modelSettings": {"opus": 5}}', '"modelSettings" is not an object'),
    "env twice": (b'{"env": {}, "env": {"A": "1"}}', 'it holds "env" twice'),
    "a key twice": (b'{"env": {"A": "1", "A": "2"}}', 'it holds "A" twice'),
    "UTF-16": ('{"model": "opus"}'.encode("utf-16"), "is not UTF-8"),
    "not finite": (b'{"a": Infinity}', "Infinity is not a JSON value"),
}


NAMES = own_names(Settings(), BUILT_IN)


def through_codexd(before):
    return claude_code.through_codexd(ADDRESS, Settings(), before)


class User(SettingsUser):
    @property
    def values(self):
        return json.loads(self.data.removeprefix(BOM))

    def change(self, make_wanted):
        """As a daemon does that has just been started: what it knows is in its file."""
        content, kept = read_settings(self.file, ENV_IN_JSON), UndoFile(self.state)
        change = prepare(content, kept.find(content.path), NAMES, make_wanted)
        check_writable(content)
        carry_out(change, kept)
        return change.plan

    def set_up(self):
        return self.change(through_codexd)

    def reset(self):
        return self.change(lambda _: {})


@pytest.fixture
def user(tmp_path):
    return User(tmp_path, "settings.json")


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_it_is_set_up_and_undone_byte_for_byte(user, data):
    user.write(data)
    user.set_up()
    env = user.values["env"]
    assert env[BASE_URL] == ADDRESS.url
    assert env["ANTHROPIC_AUTH_TOKEN"] == "codexd"
    assert env["ANTHROPIC_DEFAULT_OPUS_MODEL_NAME"] == "Opus on gpt-5.5 (Codex)"
    assert "CLAUDE_CODE_AUTO_COMPACT_WINDOW" not in env
    assert user.values["autoCompactWindow"] == 272_000
    windows = user.values["modelSettings"]
    assert windows["claude-gpt-6.2-sol"] == {"autoCompactWindow": 500_000}
    assert "claude-gpt-5.5" not in windows
    assert "ANTHROPIC_API_KEY" not in env
    assert "ANTHROPIC_MODEL" not in env
    before = json.loads((data or b"").removeprefix(BOM).strip() or b"{}")
    others = {name: value for name, value in before.get("env", {}).items() if name not in OWN_KEYS}
    apart = dict.fromkeys(("env", "autoCompactWindow", "modelSettings"))
    assert {name: value for name, value in user.values.items() if name not in apart} == {
        name: value for name, value in before.items() if name not in apart
    }
    assert {name: env[name] for name in env if name not in OWN_KEYS} == others
    assert user.data.startswith(BOM) == (data or b"").startswith(BOM)
    assert stat.S_IMODE(user.file.stat().st_mode) == 0o600
    user.reset()
    assert user.data == data
    assert user.files == (["settings.json"] if data is not None else [])


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_what_the_user_changed_in_between_stays(user, data):
    user.write(data)
    user.set_up()
    changed = user.values | {"mine": [1]}
    user.file.write_text(json.dumps(changed))
    user.reset()
    before = json.loads((data or b"").removeprefix(BOM).strip() or b"{}")
    if before.get("env") == {} or "env" not in before:
        assert user.values in (before | {"mine": [1]}, before | {"mine": [1], "env": {}})
        assert ("env" in user.values) == ("env" in before)
    else:
        assert user.values == before | {"mine": [1]}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_can_not_be_edited_is_refused_with_the_reason(user, data, reason):
    user.write(data)
    with pytest.raises(ClientFileRefused) as refused:
        user.set_up()
    assert reason in str(refused.value)
    assert str(user.file) in str(refused.value)
    assert user.data == data
    assert user.files == ["settings.json"]


def test_a_read_only_file_stays(user):
    user.write(b"{}")
    user.file.chmod(0o444)
    with pytest.raises(ClientFileRefused, match="is read-only"):
        user.set_up()
    assert user.data == b"{}"
    assert not user.state.exists()


def test_a_file_with_another_name_stays(user):
    user.write(b"{}")
    other = user.file.with_name("dotfiles.json")
    other.hardlink_to(user.file)
    with pytest.raises(ClientFileRefused, match="2 hard links"):
        user.set_up()
    assert (user.data, user.files) == (b"{}", ["dotfiles.json", "settings.json"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_of_another_user_stays(user):
    user.write(b"{}")
    os.chown(user.file, 65534, -1)
    with pytest.raises(ClientFileRefused, match="another user"):
        user.set_up()
    assert (user.data, user.file.stat().st_uid) == (b"{}", 65534)


def test_a_change_by_another_program_at_the_same_moment_is_not_lost(user):
    user.write(b"{}")
    content, kept = read_settings(user.file, ENV_IN_JSON), UndoFile(user.state)
    change = prepare(content, kept.find(content.path), NAMES, through_codexd)
    user.write(b'{"theme": "dark"}')
    with pytest.raises(ClientFileRefused, match="just been changed"):
        carry_out(change, kept)
    assert (user.data, user.files) == (b'{"theme": "dark"}', ["settings.json"])
    user.set_up()
    user.reset()
    assert user.data == b'{"theme": "dark"}'


def test_the_mode_comes_back_where_nothing_was_remembered(user):
    user.write(b"{}")
    user.file.chmod(0o640)
    content = read_settings(user.file, ENV_IN_JSON)
    assert adopt(content, UndoRecord(), {}).mode == 0o640


def test_a_folder_in_the_place_of_the_file_is_refused(user):
    user.file.mkdir()
    with pytest.raises(ClientFileRefused, match="is not a regular file"):
        user.set_up()


def test_a_link_stays_a_link_and_its_target_changes(user, tmp_path):
    target = tmp_path / "dotfiles.json"
    target.write_bytes(b'{"model": "opus"}')
    user.file.symlink_to(target)
    user.set_up()
    assert user.file.is_symlink()
    assert json.loads(target.read_bytes())["env"][BASE_URL] == ADDRESS.url
    user.reset()
    assert user.file.is_symlink()
    assert target.read_bytes() == b'{"model": "opus"}'


def test_links_in_a_circle_are_refused(user):
    user.file.symlink_to(user.file)
    with pytest.raises(ClientFileRefused, match="can't be read"):
        user.set_up()


def test_the_mode_of_the_file_comes_back(user):
    user.write(b"{}")
    user.file.chmod(0o640)
    user.set_up()
    user.reset()
    assert stat.S_IMODE(user.file.stat().st_mode) == 0o640


def test_a_copy_stands_next_to_the_file_until_it_is_undone(user):
    user.write(SHAPES["tabs"])
    user.set_up()
    backup = user.file.with_name("settings.json.before-codexd")
    assert backup.read_bytes() == SHAPES["tabs"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(user.state.stat().st_mode) == 0o600
    user.set_up()
    assert user.files == ["settings.json", "settings.json.before-codexd"]


def test_one_change_after_the_other_is_undone_at_once(user):
    user.write(SHAPES["elsewhere"])
    user.set_up()
    user.change(lambda before: claude_code.to_anthropic("sk-ant-2", before))
    env = user.values["env"]
    assert env == {"ANTHROPIC_API_KEY": "sk-ant-2", "API_TIMEOUT_MS": "3000000"}
    user.change(lambda _: claude_code.to_other("https://gateway.example.com", "gk-1"))
    assert user.values["env"][BASE_URL] == "https://gateway.example.com"
    assert user.values["env"]["ANTHROPIC_MODEL"] == "glm-4.6"
    user.reset()
    assert user.data == SHAPES["elsewhere"]


def test_a_value_that_the_user_changed_since_is_left_and_named(user):
    user.write(b'{"env": {"ANTHROPIC_AUTH_TOKEN": "old"}}')
    user.set_up()
    values = user.values
    values["env"][BASE_URL] = "https://mine.example.com"
    user.file.write_text(json.dumps(values))
    plan = user.reset()
    assert plan.left == (BASE_URL,)
    assert user.values["env"] == {"ANTHROPIC_AUTH_TOKEN": "old", BASE_URL: "https://mine.example.com"}


def test_a_reset_with_nothing_to_undo_changes_nothing(user):
    user.write(SHAPES["elsewhere"])
    assert user.reset().targets == {}
    assert user.data == SHAPES["elsewhere"]
    assert not user.file.with_name("settings.json.before-codexd").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": {}}', '{"version": 1, "files": []}', '{"version": 2, "files": {}}']
)
def test_an_unreadable_state_file_stops_every_change(user, text):
    user.write(b"{}")
    user.state.write_text(text)
    with pytest.raises(FileUnreadable):
        user.set_up()
    assert user.data == b"{}"
    assert user.state.read_text() == text


def test_what_a_killed_daemon_left_of_the_state_file_goes(user):
    user.state.with_name(".clients.json.a1b2c3d_").write_text("a key of the user's")
    user.write(b"{}")
    user.set_up()
    assert list(user.state.parent.glob(".clients.json.*")) == []


def test_a_file_in_the_place_of_the_folder_is_refused(user):
    user.file.parent.rmdir()
    user.file.parent.write_text("")
    with pytest.raises(ClientFileRefused, match="can't be read: Not a directory"):
        user.set_up()


def test_a_file_that_could_not_be_written_leaves_nothing_to_undo(user, monkeypatch):
    user.write(b"{}")
    monkeypatch.setattr("codexd.clients.settings_file.write_atomic", full_disk)
    with pytest.raises(ClientFileRefused, match="can't be written: No space left"):
        user.set_up()
    monkeypatch.undo()
    user.reset()
    assert (user.data, user.files) == (b"{}", ["settings.json"])


def test_a_second_change_that_failed_leaves_the_first_to_undo(user, monkeypatch):
    user.write(b'{"env": {"ANTHROPIC_BASE_URL": "https://mine"}}')
    user.set_up()
    before = user.data
    moved = Address("http://127.0.0.1:9", "codexd")
    monkeypatch.setattr("codexd.clients.settings_file.write_atomic", full_disk)
    with pytest.raises(ClientFileRefused):
        user.change(lambda old: claude_code.through_codexd(moved, Settings(), old))
    monkeypatch.undo()
    assert user.data == before
    user.reset()
    assert user.data == b'{"env": {"ANTHROPIC_BASE_URL": "https://mine"}}'


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_codexd_made_goes_even_when_another_program_has_written_it_anew(user):
    user.set_up()
    user.file.write_text(json.dumps(user.values, indent=4))
    user.reset()
    assert user.files == []
