"""Settings that change while the daemon runs."""

from __future__ import annotations

import errno
import os

import pytest

from codexd.errors import FileUnreadable, FileUnwritable, SettingInvalid
from codexd.settings.live import LiveSettings
from codexd.settings.load import Document

FILE = "# mine\n[server]\nport = 1 # where\n\n[log]\nlevel = 'debug'\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config" / "settings.toml"
    path.parent.mkdir()
    path.write_text(FILE)
    return path


@pytest.fixture
def live(file):
    return LiveSettings.open(file, environ={"CODEXD_LOG_HISTORY": "7"}, flags={"server.host": "localhost"})


@pytest.fixture
def heard(live):
    changes = []
    live.on_change(lambda before, after: changes.append((before, after)))
    return changes


def names(changes):
    return [change.name for change in changes]


def refused(do, *arguments, kind=SettingInvalid, **named):
    with pytest.raises(kind) as caught:
        do(*arguments, **named)
    return str(caught.value)


def test_what_is_set_holds_at_once_and_is_in_the_file(live, file, heard):
    before = live.current
    changes = live.set("models.opus", "a,b")
    assert live.current.models.opus == ("a", "b")
    assert [(change.name, change.before, change.after) for change in changes] == [
        ("models.opus", before.models.opus, ("a", "b"))
    ]
    assert heard == [(before, live.current)]
    assert file.read_text() == FILE + '\n[models]\nopus = ["a", "b"]\n'
    assert file.stat().st_mode & 0o777 == 0o600
    assert live.current == LiveSettings.open(file, environ=live._environ, flags=live._flags).current


def test_what_is_unset_is_at_its_default(live, file):
    assert names(live.unset("log.level")) == ["log.level"]
    assert live.current.log.level == "info"
    assert "level" not in file.read_text()
    assert live.unset("log.level") == ()


def test_what_needs_a_restart_is_set_and_the_daemon_runs_on_as_it_was(live, file, heard):
    assert names(live.set("server.port", 2)) == ["server.port"]
    assert "port = 2 # where" in file.read_text()
    assert (live.current.server.port, live.loaded.settings.server.port) == (1, 2)
    assert live.is_pending("server.port")
    assert not live.is_pending("server.host")
    assert heard == []
    live.set("server.api_key", "k")
    assert (live.current.server.port, live.current.server.api_key) == (1, "k")
    live.set("server.port", 1)
    assert not live.is_pending("server.port")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("log.history", 8, "environment CODEXD_LOG_HISTORY"),
        ("server.host", "127.0.0.1", "--host"),
    ],
)
def test_what_the_environment_or_a_flag_fixes_is_not_set_in_the_file(live, file, name, value, said):
    assert said in refused(live.set, name, value)
    assert said in refused(live.unset, name)
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("name", "value"), [("server.prot", 1), ("server.port", "x"), ("log.level", "loud"), ("models.opus", [])]
)
def test_a_bad_value_changes_nothing(live, file, heard, name, value):
    before = live.current
    assert name in refused(live.set, name, value)
    assert (live.current, file.read_text(), heard) == (before, FILE, [])


BROKEN = [
    (b"[server", "not TOML"),
    (b"[server]\nport = 'x'\n[log]\nlevel = 'loud'\n", "log.level = 'loud'"),
    (b"[server]\nhots = 'x'\n", "did you mean server.host?"),
    (b"[server]\nport = " + b"9" * 5000, "too many digits"),
    (b"[models]\nopus = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
]


@pytest.mark.parametrize(("content", "said"), BROKEN)
def test_a_broken_file_stays_as_it_is_and_so_do_the_settings(live, file, heard, content, said):
    before = live.current
    file.write_bytes(content)
    assert said in refused(live.reload)
    assert said in live.problem
    refused(live.set, "models.opus", "a")
    refused(live.unset, "log.level")
    assert (live.current, file.read_bytes(), heard) == (before, content, [])
    file.write_text(FILE)
    live.reload()
    assert live.problem is None


def test_all_problems_of_a_file_are_reported(live, file):
    file.write_bytes(BROKEN[1][0])
    assert len(refused(live.reload).splitlines()) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: (file.unlink(), file.symlink_to("/dev/null")),
    ],
)
def test_an_unreadable_file_is_never_overwritten(live, file, make):
    before = live.current
    make(file)
    for do in (live.reload, lambda: live.set("models.opus", "a"), lambda: live.replace("", before="")):
        assert str(file) in refused(do, kind=FileUnreadable)
    assert live.current == before
    assert not file.is_file() or file.read_bytes() == b"\xff\xfe"


def test_a_reload_returns_what_changed(live, file, heard):
    assert live.reload() == ()
    file.write_text(FILE.replace("debug", "warning") + "[models]\nhaiku = 'h'\n")
    assert names(live.reload()) == ["models.haiku", "log.level"]
    assert (live.current.log.level, live.current.models.haiku) == ("warning", ("h",))
    assert len(heard) == 1
    file.unlink()
    assert names(live.reload()) == ["server.port", "models.haiku", "log.level"]


def test_what_was_changed_by_hand_takes_effect_with_a_set(live, file):
    file.write_text(FILE.replace("debug", "warning"))
    assert names(live.set("models.haiku", "h")) == ["models.haiku", "log.level"]
    assert live.current.log.level == "warning"


def test_a_file_is_parsed_once_for_each_of_its_contents(live, file):
    live.set("log.level", "error")
    written = live.loaded.document
    assert written.text == file.read_text()
    live.set("log.level", "error")
    live.unset("models.haiku")
    live.reload()
    assert live.loaded.document is written
    file.write_text(FILE)
    live.reload()
    assert live.loaded.document == Document.parse(FILE)


def test_a_text_replaces_the_one_that_was_edited_and_no_other(live, file):
    live.check(FILE.replace("debug", "info"))
    assert names(live.replace(FILE.replace("debug", "info"), before=FILE)) == ["log.level"]
    assert "changed by another program" in refused(live.replace, "", before=FILE)
    assert file.read_text() == FILE.replace("debug", "info")
    assert "log.level = 'loud'" in refused(live.replace, FILE.replace("debug", "loud"), before=file.read_text())
    assert file.read_text() == FILE.replace("debug", "info")


def test_a_check_changes_nothing(live, file, heard):
    before = live.current
    assert "log.level" in refused(live.check, FILE.replace("debug", "loud"))
    live.check("")
    assert (live.current, file.read_text(), live.problem, heard) == (before, FILE, None, [])


def test_a_link_to_the_file_stays_a_link(live, file, tmp_path):
    kept = tmp_path / "dotfiles.toml"
    file.rename(kept)
    file.symlink_to(kept)
    live.set("log.level", "error")
    assert file.is_symlink()
    assert kept.read_text() == FILE.replace("'debug'", '"error"')


def test_the_folder_is_made_when_it_is_missing(tmp_path):
    live = LiveSettings.open(tmp_path / "a" / "b" / "settings.toml", environ={}, flags={})
    live.set("log.level", "error")
    assert live.file.read_text() == '[log]\nlevel = "error"\n'
    assert live.file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "Free some disk space."), (errno.EROFS, "If another program manages")]
)
def test_a_file_that_can_not_be_written_is_said_and_nothing_changes(live, file, monkeypatch, number, advice):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("codexd.settings.live.write_atomic", fail)
    before = live.current
    said = refused(live.set, "log.level", "error", kind=FileUnwritable)
    assert f"({os.strerror(number)}); nothing was changed. {advice}" in said
    assert live.current == before


def test_a_file_that_its_user_made_read_only_stays(live, file):
    file.chmod(0o400)
    assert "read-only" in refused(live.set, "log.level", "error", kind=FileUnwritable)
    assert (file.read_text(), live.current.log.level) == (FILE, "debug")
    assert live.unset("models.opus") == ()


def test_what_a_killed_daemon_left_of_a_write_goes_with_the_next(live, file):
    leftover = file.with_name(".settings.toml.a1b2c3d_")
    leftover.write_text("[server]\napi_key = 'k'")
    live.set("log.level", "error")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_line_ends_stay_as_they_are(live, file):
    file.write_bytes(b"[log]\r\nlevel = 'info'\r\n")
    live.set("log.level", "error")
    assert file.read_bytes() == b'[log]\r\nlevel = "error"\r\n'


OPEN = "[server]\nhost = '0.0.0.0'\napi_key = 'k'\n"


@pytest.fixture
def open_to_all(file):
    file.write_text(OPEN)
    return LiveSettings.open(file, environ={}, flags={})


def test_the_key_stays_while_the_daemon_listens_to_other_machines(open_to_all, file):
    assert "other machines" in refused(open_to_all.unset, "server.api_key")
    open_to_all.set("server.host", "127.0.0.1")
    assert "still listens on 0.0.0.0" in refused(open_to_all.unset, "server.api_key")
    assert open_to_all.current.server.api_key == "k"
    open_to_all.set("server.api_key", "another")
    assert open_to_all.current.server.api_key == "another"


def test_pinned_values_hold_whatever_is_set(live, file):
    live.pin({"upstream.auth_url": "http://127.0.0.1:9"}, "--simulate")
    assert live.current.upstream.auth_url == "http://127.0.0.1:9"
    assert not live.is_pending("upstream.auth_url")
    assert "--simulate" in refused(live.set, "upstream.auth_url", "http://example.com")
    file.write_text("[upstream]\nauth_url = 'http://example.com'\nidle_timeout = 3\n")
    assert "upstream.auth_url" not in names(live.reload())
    assert live.current.upstream.auth_url == "http://127.0.0.1:9"
    assert live.current.upstream.idle_timeout == 3


def test_a_byte_order_mark_is_no_part_of_the_settings(file):
    file.write_bytes("\ufeff[server]\nport = 1234  # mine\n".encode())
    live = LiveSettings.open(file, environ={}, flags={})
    assert live.current.server.port == 1234
    live.set("log.level", "debug")
    assert file.read_bytes().startswith(b"[server]\nport = 1234  # mine\n")
