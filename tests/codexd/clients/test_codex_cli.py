"""The Codex CLI's ``config.toml`` as users have it: set up and undone byte for byte, or refused with a reason."""

import os
import stat
import tomllib

import pytest
from support.settings_user import BOM, SettingsUser

from codexd.clients import codex_cli
from codexd.clients.address import Address
from codexd.clients.codex_cli import CHATGPT_URL, PROVIDER, table_of
from codexd.clients.set_up import carry_out, prepare
from codexd.clients.settings_file import TOML, check_writable, read_settings
from codexd.clients.undo import UndoFile
from codexd.errors import ClientFileRefused

ADDRESS = Address("http://127.0.0.1:8081", "codexd")

SHAPES = {
    "none at all": None,
    "empty": b"",
    "white space": b"\n  \n",
    "a mark and nothing else": BOM,
    "a comment": b"# mine\n",
    "as the Codex CLI writes it": b'model = "gpt-5.5"\nmodel_reasoning_effort = "high"\n\n[projects."/home/me/work"]\ntrust_level = "trusted"\n',
    "no end of the last line": b'model = "gpt-5.5"',
    "no end of a table's last line": b'[tui]\nnotifications = ["a"]  # c',
    "CRLF": b'model = "gpt-5.5"\r\n\r\n[tui]\r\nnotifications = true\r\n',
    "byte-order mark": BOM + b'model = "gpt-5.5"\n',
    "tabs": b"[tui]\n\tnotifications\t=\ttrue\n",
    "another provider chosen": b'model_provider = "azure" # work\n\n[model_providers.azure]\nname = "Azure"\nbase_url = "https://x.example.com"\nquery_params = { api-version = "1" }\n',
    "the built-in one chosen": b"model_provider = 'openai'\n",
    "a quoted key": b'"model_provider"  =  "openai"\n',
    "another address of ChatGPT": b'chatgpt_base_url = "https://gateway.example.com/backend-api/"\nmodel = "o3"\n',
    "the user's own codexd": b'model_provider = "codexd"\n[model_providers.codexd]\nname = "my codexd"\nbase_url = "http://127.0.0.1:9999/v1"\n# note\nenv_key = "X"\n',
    "the user's own codexd, dotted": b'model_providers.codexd.name = "mine"\nmodel_providers.codexd.base_url = "http://x/v1"\n',
    "the user's own codexd, inline": b'model_providers = { codexd = { name = "mine" } }\n',
    "inline tables": b'model_providers = { o = { name = "o", http_headers = { A = "1" } } } # c\ntools = { web_search = true }\n',
    "dotted keys": b'tui.notifications = true\nmodel_providers.o.name = "o"\n',
    "arrays of tables": b'[[skills.config]]\npath = "/a"\n[[skills.config]]\npath = "/b"\n',
    "MCP servers and texts over lines": b"developer_instructions = '''\n[model_providers.codexd]\nmodel_provider = 1\n'''\n\n[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\n  \"-y\", # yes\n]\n[mcp_servers.docs.env]\nA = \"1\"\n",
    "other letters": '# größer 🎉\n[projects."/home/ü"]\ntrust_level = "trusted"\n'.encode(),
}
BROKEN = {
    "cut off": (b'model = "gpt', "can't be edited"),
    "a key twice": (b"a = 1\na = 2\n", "can't be edited"),
    "a conflict of git": (b"<<<<<<< HEAD\n", "can't be edited"),
    "JSON": (b'{"model": "gpt-5.5"}', "can't be edited"),
    "UTF-16": ('model = "gpt-5.5"'.encode("utf-16"), "is not UTF-8"),
    "the providers are no table": (b'model_providers = "x"\n', "model_providers"),
    "the providers are an array": (b"[[model_providers]]\nname = 'x'\n", "model_providers is not a table"),
}


class User(SettingsUser):
    @property
    def said(self):
        return tomllib.loads(self.data.removeprefix(BOM).decode())

    def change(self, wanted, address=ADDRESS):
        """As a daemon does that has just been started: what it knows is in its file."""
        content, file = read_settings(self.file, TOML), UndoFile(self.state)
        kept = file.find(content.path)
        tables = tomllib.loads(content.settings_text).get("model_providers", {})
        provider = codex_cli.choose_provider(tuple(kept.entries), tables if isinstance(tables, dict) else {})
        names = (CHATGPT_URL, PROVIDER, table_of(provider))
        change = prepare(content, kept, names, lambda _: wanted(provider, address))
        check_writable(content)
        carry_out(change, file)
        return change.plan

    def set_up(self, *, signed_in=True, address=ADDRESS):
        def wanted(provider, address):
            return codex_cli.through_codexd(address, provider, signed_in=signed_in)

        return self.change(wanted, address)

    def reset(self):
        return self.change(lambda *_: {})


@pytest.fixture
def user(tmp_path):
    return User(tmp_path, "config.toml")


def less_ours(said, provider):
    providers = {name: table for name, table in said.get("model_providers", {}).items() if name != provider}
    rest = {name: value for name, value in said.items() if name not in (PROVIDER, CHATGPT_URL, "model_providers")}
    return rest | ({"model_providers": providers} if providers else {})


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_it_is_set_up_and_undone_byte_for_byte(user, data, signed_in):
    user.write(data)
    user.set_up(signed_in=signed_in)
    said, before = user.said, tomllib.loads((data or b"").removeprefix(BOM).decode())
    provider = said[PROVIDER]
    table = said["model_providers"][provider]
    assert table["base_url"] == "http://127.0.0.1:8081/v1"
    assert (table["wire_api"], table["requires_openai_auth"]) == ("responses", signed_in)
    assert said.get(CHATGPT_URL) == (f"{ADDRESS.url}/backend-api" if signed_in else before.get(CHATGPT_URL))
    assert less_ours(said, provider) == less_ours(before, None)
    assert user.data.startswith(BOM) == (data or b"").startswith(BOM)
    assert stat.S_IMODE(user.file.stat().st_mode) == 0o600
    user.set_up(signed_in=signed_in)
    assert user.said == said
    user.reset()
    assert user.data == data
    assert user.files == (["config.toml"] if data is not None else [])


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_what_was_added_in_between_stays(user, data):
    """The Codex CLI itself adds what it learns."""
    added = b'\n[projects."/home/me/new"]\ntrust_level = "trusted"\n'
    user.write(data)
    user.set_up()
    user.file.write_bytes(user.data + added)
    user.reset()
    whole = (data or b"").removeprefix(BOM)
    end = b"" if whole.endswith(b"\n") or not whole else b"\n"
    expected = whole + end + added
    assert user.data.removeprefix(BOM).lstrip() == expected.lstrip()


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_can_not_be_edited_is_refused_with_the_reason(user, data, reason):
    user.write(data)
    with pytest.raises(ClientFileRefused) as refused:
        user.set_up()
    assert reason in str(refused.value)
    assert str(user.file) in str(refused.value)
    assert user.data == data
    assert user.files == ["config.toml"]


def test_a_provider_of_the_user_keeps_its_name(user):
    user.write(SHAPES["the user's own codexd"])
    user.set_up()
    assert user.said[PROVIDER] == "codexd-2"
    assert user.said["model_providers"]["codexd"]["name"] == "my codexd"
    user.set_up(address=Address("http://127.0.0.1:9000", "codexd"))
    assert set(user.said["model_providers"]) == {"codexd", "codexd-2"}


def test_a_new_address_and_a_key_are_set_in_place(user):
    user.write(SHAPES["as the Codex CLI writes it"])
    user.set_up()
    user.set_up(address=Address("http://127.0.0.1:9000", "local-secret"), signed_in=False)
    table = user.said["model_providers"]["codexd"]
    assert (table["base_url"], table["http_headers"]) == ("http://127.0.0.1:9000/v1", {"x-api-key": "local-secret"})
    assert CHATGPT_URL not in user.said
    user.reset()
    assert user.data == SHAPES["as the Codex CLI writes it"]


def test_another_choice_of_the_user_since_is_left_and_named(user):
    user.write(b'model = "o3"\n')
    user.set_up()
    user.file.write_bytes(user.data.replace(b'model_provider = "codexd"', b'model_provider = "azure"'))
    plan = user.reset()
    assert plan.left == (PROVIDER,)
    assert user.data == b'model_provider = "azure"\nmodel = "o3"\n'


def test_a_provider_that_the_user_changed_since_is_left_and_named(user):
    user.write(b'model = "o3"\n')
    user.set_up()
    user.file.write_bytes(user.data + b"stream_max_retries = 9\n")
    plan = user.reset()
    assert plan.left == (table_of("codexd"),)
    assert (PROVIDER in user.said, user.said["model_providers"]["codexd"]["stream_max_retries"]) == (False, 9)


def test_the_users_own_spelling_comes_back_though_the_file_changed(user):
    user.write(b"model_provider = 'azure'  # work\n")
    user.set_up()
    user.file.write_bytes(user.data + b"\n[tui]\na = 1\n")
    user.reset()
    assert user.data == b"model_provider = 'azure'  # work\n\n[tui]\na = 1\n"


def test_a_read_only_file_stays(user):
    user.write(b"")
    user.file.chmod(0o444)
    with pytest.raises(ClientFileRefused, match=r"`chmod u\+w`\.$"):
        user.set_up()
    assert user.data == b""
    assert not user.state.exists()


def test_a_link_stays_a_link_and_its_target_changes(user, tmp_path):
    target = tmp_path / "dotfiles.toml"
    target.write_bytes(b'model = "o3"\n')
    user.file.symlink_to(target)
    user.set_up()
    assert user.file.is_symlink()
    assert b"codexd" in target.read_bytes()
    user.reset()
    assert target.read_bytes() == b'model = "o3"\n'


def test_a_copy_stands_next_to_the_file_until_it_is_undone(user):
    user.write(SHAPES["CRLF"])
    user.set_up()
    backup = user.file.with_name("config.toml.before-codexd")
    assert backup.read_bytes() == SHAPES["CRLF"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    user.reset()
    assert user.files == ["config.toml"]


def test_lost_memory_is_recognised_by_what_codexd_writes():
    table = codex_cli.make_table(Address("http://127.0.0.1:1", "k"), signed_in=True)
    assert codex_cli.is_ours(table)
    assert not codex_cli.is_ours(table | {"query_params": {}})
    assert not codex_cli.is_ours(table | {"name": "mine"})
    assert codex_cli.choose_provider((), {"codexd": table}) == "codexd"
    assert codex_cli.choose_provider((), {"codexd": {}, "codexd-2": {}}) == "codexd-3"
    assert codex_cli.choose_provider(("model_providers.codexd-2",), {"codexd": table}) == "codexd-2"


@pytest.mark.parametrize(
    ("text", "signed_in"),
    [
        ('{"tokens": {"access_token": "a.b.c"}}', True),
        ('{"auth_mode": "chatgpt", "OPENAI_API_KEY": "sk", "tokens": {"access_token": "a.b.c"}}', True),
        ('{"auth_mode": "apikey", "OPENAI_API_KEY": "sk", "tokens": {"access_token": "a.b.c"}}', False),
        ('{"OPENAI_API_KEY": "sk", "tokens": {"access_token": "a.b.c"}}', False),
        ('{"OPENAI_API_KEY": "sk"}', False),
        ('{"tokens": null}', False),
        ("[]", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_a_login_with_chatgpt_is_known(text, signed_in):
    assert codex_cli.has_chatgpt_login(text) is signed_in


def test_no_secret_is_shown():
    table = codex_cli.make_table(Address("http://127.0.0.1:1", "local-secret"), signed_in=True)
    assert "local-secret" not in codex_cli.show_value(table)
    assert codex_cli.show_value(table) == "http://127.0.0.1:1/v1, with a key, asks for limits"
    assert codex_cli.show_value("azure") == "azure"
    assert "local-secret" not in repr(Address("http://127.0.0.1:1", "local-secret"))


# -- killed in the middle -----------------------------------------------------------------------------


class KilledError(BaseException):
    """Nothing that the process does after it has an effect."""


class Kill:
    """kill -9 before call number ``at`` of those that change something on the disk."""

    CHANGES = ("open", "replace", "rename", "unlink", "mkdir", "chmod", "fchmod", "fsync")

    def __init__(self, at, monkeypatch):
        self.left = at
        for name in self.CHANGES:
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, real):
        def call(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise KilledError
            return real(*args, **kwargs)

        return call


def is_killed(at, act, monkeypatch):
    with monkeypatch.context() as patch:
        kill = Kill(at, patch)
        try:
            act()
        except KilledError:
            return True
    assert kill.left >= 0
    return False


ENDS = {"reset": [User.reset], "again": [User.set_up, User.reset], "twice": [User.reset, User.reset]}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("data", [None, b"", b'model = "x"\n[a]\nb = 1\n', b'model_provider = "mine" # mine\r\n'])
@pytest.mark.parametrize("act", ["set up", "reset", "other values"])
def test_a_daemon_that_is_killed_in_the_middle_leaves_what_can_be_undone(user, data, act, ends, monkeypatch):
    steps = {
        "set up": (lambda _: None, lambda user: user.set_up()),
        "reset": (lambda user: user.set_up(), lambda user: user.reset()),
        "other values": (lambda user: user.set_up(), lambda user: user.set_up(signed_in=False)),
    }
    before, cut = steps[act]
    for at in range(100):
        user.write(data)
        if data is not None:
            user.file.chmod(0o644)
        before(user)
        killed = is_killed(at, lambda: cut(user), monkeypatch)
        for end in ends:
            end(user)
        assert user.data == data
        assert user.files == ([] if data is None else ["config.toml"])
        assert data is None or user.file.stat().st_mode & 0o777 == 0o644
        if not killed:
            return
    raise AssertionError("it does not come to an end")
