import pytest

from codexctl.shell.history import KEPT_LINES, PrivateHistory, may_keep

JWT = "eyJ" + "hbGciOiJub25lIn0.e30.c2ln"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  status",
        "settings set server.api_key hunter2",
        "settings set server.api_key=hunter2",
        "codexctl settings set server.api_key 'hunter2'",
        f"test {JWT}",
        "test sk-" + "a" * 20,
        "rt_" + "0123456789",
        "http://localhost:1455/auth/callback?code=ac_1&state=s",
        "test 'Authorization: Bearer abc'",
    ],
)
def test_secrets_are_not_kept(line):
    assert not may_keep(line)


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "accounts token work@example.com",
        "settings get server.api_key",
        "settings set models.opus gpt-5.5",
        "settings unset server.api_key",
        "logs --grep tokens",
    ],
)
def test_other_lines_are_kept(line):
    assert may_keep(line)


def test_the_history_is_private_and_comes_back(tmp_path):
    path = tmp_path / "state" / "shell-history"
    history = PrivateHistory(path)
    for line in ("status", "settings set server.api_key hunter2", "accounts\nlogs", "naïve"):
        history.store_string(line)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(PrivateHistory(path).load_history_strings()) == ["naïve", "logs", "accounts", "status"]


def test_a_long_history_is_shortened(tmp_path):
    path = tmp_path / "shell-history"
    path.write_text("".join(f"status {number}\n" for number in range(2 * KEPT_LINES + 1)))
    assert next(iter(PrivateHistory(path).load_history_strings())) == f"status {2 * KEPT_LINES}"
    assert len(path.read_text().splitlines()) == KEPT_LINES
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_history_that_cannot_be_read_or_written_is_done_without(tmp_path):
    (tmp_path / "shell-history").mkdir()
    history = PrivateHistory(tmp_path / "shell-history")
    history.store_string("status")
    assert list(history.load_history_strings()) == []
