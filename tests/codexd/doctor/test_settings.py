import pytest

from codexd.doctor import settings
from codexd.doctor.finding import Level
from codexd.paths import find_places


def look(tmp_path, text=None, **environ):
    if text is not None:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "settings.toml").write_bytes(data)
    return settings.look(find_places({}, tmp_path), {"HOME": str(tmp_path / "elsewhere"), **environ})


def check(found, **options):
    return list(settings.check_settings(found, **{"daemon_runs": False} | options))


def bad(findings):
    return [(each.kind, each.about, each.remedy) for each in findings if each.level is not Level.OK]


def test_no_file(tmp_path):
    [found] = check(look(tmp_path))
    assert (found.kind, found.text) == ("settings_valid", "Every setting is at its default.")


def test_each_wrong_name_and_value_is_a_finding_of_its_own(tmp_path):
    text = "[server]\nport = 'x'\nprot = 1\n[log]\nlevel = 'loud'\n"
    edit = f"${{EDITOR:-vi}} {tmp_path}/settings.toml"
    assert bad(check(look(tmp_path, text))) == [
        ("setting_invalid", "server.prot", edit),
        ("setting_invalid", "server.port", edit),
        ("setting_invalid", "log.level", edit),
    ]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"CODEXD_PROT": "1"}, [("setting_invalid", "CODEXD_PROT", "unset CODEXD_PROT")]),
        ({"CODEXD_LOG_LEVEL": "loud"}, [("setting_invalid", "log.level", "unset CODEXD_LOG_LEVEL")]),
        ({"PORT": "9000"}, [("setting_from_environment", "PORT", None)]),
        ({"CODEX_CLAUDE_PROXY_ENABLE": "1"}, [("variable_unknown", "CODEX_CLAUDE_PROXY_ENABLE", None)]),
        ({"CODEX_CLAUDE_PROXY_ADMIN_TOKEN": "1"}, []),
        ({"CODEXD_HOME": "/x", "CODEXD_SOCKET": "/y"}, []),
        (
            {"codexd_port": "1"},
            [("variable_in_small_letters", "codexd_port", 'export CODEXD_PORT="$codexd_port"; unset codexd_port')],
        ),
    ],
)
def test_the_environment(tmp_path, environ, found):
    assert bad(check(look(tmp_path, **environ))) == found


@pytest.mark.parametrize("text", ["[server", b"\xff\xfe", "a = 1" + "0" * 5000])
def test_a_file_that_can_not_be_read(tmp_path, text):
    found = check(look(tmp_path, text))
    assert [each.level for each in found] == [Level.PROBLEM]
    assert str(tmp_path) in found[0].text


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "settings.toml").mkdir()
    assert [each.kind for each in check(look(tmp_path))] == ["settings_unreadable"]


def test_with_a_daemon_its_own_editor_is_advised(tmp_path):
    [found] = check(look(tmp_path, "[server]\nport = 'x'\n"), daemon_runs=True)
    assert found.remedy == "codexctl settings edit"


def test_a_file_in_the_wrong_place(tmp_path):
    (tmp_path / "elsewhere/.codexd").mkdir(parents=True)
    wrong = tmp_path / "elsewhere/.codexd/settings.toml"
    wrong.touch()
    assert bad(check(look(tmp_path))) == [
        ("settings_misplaced", str(wrong), f"mv -n {wrong} {tmp_path / 'settings.toml'}")
    ]
    assert bad(check(look(tmp_path, ""))) == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("[server]\nhost = '0.0.0.0'\napi_key = 'short'", ["open_to_machines", "key_too_short"]),
        ("[server]\nhost = '0.0.0.0'\napi_key = '0123456789abcdef0123'", ["open_to_machines"]),
        ("[upstream]\nbackend_url = 'http://user:pw@proxy.example/x'", ["other_server", "server_without_tls"]),
        ("[upstream]\nauth_url = 'http://127.0.0.1:9'", ["other_server"]),
    ],
)
def test_values_that_a_user_should_know_of(tmp_path, text, kinds):
    found = check(look(tmp_path, text))
    assert [each.kind for each in found if each.level is not Level.OK] == kinds
    assert "pw" not in "".join(each.text for each in found)


def test_what_a_restart_would_apply():
    listed = {"settings": [{"name": "server.port", "restart_pending": True}, {"name": "x", "restart_pending": False}]}
    assert [each.about for each in settings.check_pending(listed)] == ["server.port"]
    assert list(settings.check_pending(None)) == []


def test_the_values_and_secrets_of_a_bundle(tmp_path):
    found = look(tmp_path, "[server]\napi_key = 'marked'\nport = 9\n", CODEXD_SERVER_API_KEY="other")
    assert list(settings.list_values(found, None)) == [
        ("server.api_key", "set", "environment CODEXD_SERVER_API_KEY"),
        ("server.port", 9, str(tmp_path / "settings.toml")),
    ]
    assert set(settings.list_secrets(found)) == {"marked", "other"}
    broken = look(tmp_path, "[server]\napi_key = ['marked']\nport = 'x'\n")
    assert list(settings.list_secrets(broken)) == ["['marked']"]


def test_the_daemons_own_values_come_first(tmp_path):
    listed = {
        "settings": [{"name": "a", "value": 1, "source": "--port"}, {"name": "b", "value": 2, "source": "default"}]
    }
    assert list(settings.list_values(look(tmp_path), listed)) == [("a", 1, "--port")]
