import pytest
from support.control_answers import SERVICE_STATUS

from codexctl.commands.service import parse_port
from codexd import __version__


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def test_install_status_restart_and_uninstall(codexctl, folder, daemon, programs, install):
    status, out, err = codexctl(*install, "--yes")
    assert (status, err) == (0, "")
    assert "systemctl --user --quiet enable --now codexd.socket codexd.service" in out
    assert f"codexd {__version__} listens on http://127.0.0.1:8081." in out
    assert names(folder) == ["codexd.service", "codexd.socket"]
    status, out, err = codexctl("service")
    assert (status, err) == (0, "")
    assert "The service is active (running)" in out
    status, out, _ = codexctl(*install, "--yes")
    assert status == 0
    assert out.startswith("The service is installed already, and nothing has to change.")
    replies = iter([SERVICE_STATUS | {"pid": 7}, SERVICE_STATUS | {"pid": 8, "version": "9.9"}])
    daemon.answers["daemon.status"] = lambda _: next(replies)
    status, out, err = codexctl("service", "restart")
    assert (status, err) == (0, "")
    assert out.startswith(f"codexd 9.9 (pid 8) has taken over from {__version__} (pid 7).")
    status, out, err = codexctl("service", "uninstall", "--yes")
    assert (status, err) == (0, "")
    assert "Your accounts, settings and usage history stay." in out
    assert not folder.parent.exists()
    assert programs.state["active"] == []
    status, out, _ = codexctl("service", "uninstall", "--yes")
    assert (status, out) == (0, "The service is not installed, so there is nothing to do.\n")


@pytest.mark.parametrize("command", ["install", "uninstall", "status", "logs", "restart"])
def test_where_there_is_no_manager_every_command_says_so(codexctl, programs, command):
    programs.write(fail={"systemctl --user show": "Failed to connect to bus"})
    status, _, err = codexctl("service", command)
    assert status == 1
    assert "codexd" in err or "Log in again" in err


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "٣", ""])
def test_what_is_not_a_port(codexctl, text):
    with pytest.raises(Exception, match="is not a port"):
        parse_port(text)
