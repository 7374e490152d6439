import os
from pathlib import Path

from codexd.doctor import home
from codexd.doctor.daemons import Answers, Service
from codexd.doctor.finding import Level
from codexd.doctor.report import Question, examine
from codexd.paths import Places, find_places

TOPICS = ["installation", "files", "settings", "accounts", "daemon", "network", "clients", "service"]


def ask(tmp_path, places: Places | None = None, environ=None, **changes):
    environ = {"HOME": str(tmp_path), "PATH": ""} | (environ or {})
    places = places or find_places({}, tmp_path / "codexd")
    answers = changes.pop("answers", Answers(places.socket, socket_exists=False))
    return examine(Question(places, environ, answers, now=1_800_000_000.0, user=os.geteuid(), **changes))


def kinds(examined):
    return {each.kind for section in examined.report.sections for each in section.findings}


def test_every_topic_in_order(tmp_path):
    examined = ask(tmp_path, service=Service("systemd", installed=True))
    assert [section.topic for section in examined.report.sections] == TOPICS
    assert all(section.findings for section in examined.report.sections)
    assert {"no_account", "not_running", "service"} <= kinds(examined)


def test_without_a_home(tmp_path):
    answers = Answers(Path("/nowhere"), socket_exists=False)
    examined = examine(Question(None, {"PATH": ""}, answers, now=1.0, user=0))
    assert "home_unknown" in kinds(examined)
    assert "check_failed" not in kinds(examined)
    assert (examined.configuration, examined.accounts) == (None, None)


def test_everything_broken_at_once(tmp_path):
    state = tmp_path / "codexd"
    state.mkdir()
    (state / "accounts.json").write_text("{")
    (state / "accounts").write_text("a file")
    (state / "settings.toml").write_bytes(b"\xff")
    (tmp_path / ".claude").write_text("a file")
    (tmp_path / ".codex").symlink_to(tmp_path / ".codex")
    environ = {"HTTPS_PROXY": "::", "SSL_CERT_FILE": "/", "CODEXD_X": "1", "CLAUDE_CODE_USE_BEDROCK": "1"}
    examined = ask(tmp_path, environ=environ)
    wanted = {"accounts_unreadable", "settings_unreadable", "setting_invalid", "proxy_invalid", "certificates_invalid"}
    assert wanted <= kinds(examined)
    assert "check_failed" not in kinds(examined)


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(tmp_path, monkeypatch):
    def fail(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(home, "check_space", fail)
    examined = ask(tmp_path)
    [failed] = [
        each for section in examined.report.sections for each in section.findings if each.kind == "check_failed"
    ]
    assert (failed.level, failed.about) == (Level.PROBLEM, "files")
    assert {"files_private", "no_account"} <= kinds(examined)


def test_no_server_is_asked_unless_the_user_wants_it(tmp_path):
    environ = {"CODEXD_BACKEND_URL": "http://127.0.0.1:9", "CODEXD_AUTH_URL": "http://127.0.0.1:9"}
    assert "unreachable" not in kinds(ask(tmp_path, environ=environ))
    assert "unreachable" in kinds(ask(tmp_path, environ=environ, network=True))


def test_what_a_check_says_the_daemon_does_not_say_again(tmp_path):
    text = "The login is broken."
    status = {
        "version": "1",
        "pid": 1,
        "addresses": [],
        "simulated": False,
        "serving": {"possible": True, "state": "ok", "account": "me", "reason": None, "advice": None},
        "problems": [text, "Something else."],
        "tasks": [],
        "last_failure": None,
    }
    answers = Answers(Path("/s"), socket_exists=True, results={"daemon.status": status})
    examined = ask(tmp_path, answers=answers, service=Service(None, f"me: {text}"))
    said = [each.text for section in examined.report.sections for each in section.findings]
    assert f"Me: {text}" in said
    assert text not in said
    assert "Something else." in said


def test_a_service_is_what_starts_codexd(tmp_path):
    examined = ask(tmp_path, service=Service("systemd", installed=True, state="inactive"))
    found = [each for section in examined.report.sections for each in section.findings if each.kind == "not_running"]
    assert [each.remedy for each in found] == ["codexctl service restart"]
