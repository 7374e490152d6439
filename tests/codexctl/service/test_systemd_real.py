"""The whole service beside a real user manager of systemd, with the real codexd."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

WITH_MANAGER = Path(__file__).parents[2] / "support" / "with_user_manager"
TIMEOUT_S = 120

pytestmark = pytest.mark.skipif(
    (os.geteuid() != 0 or not (shutil.which("systemctl") and shutil.which("unshare"))) and "CI" not in os.environ,
    reason="needs root, and Debian's systemd and util-linux, for a user manager in namespaces of its own",
)


@pytest.fixture
def script(tmp_path):
    """Runs lines of shell beside the manager; the output, and the exit status of each line that begins with +."""
    for name in ("home", "runtime"):
        (tmp_path / name).mkdir(mode=0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "XDG_"))}
    environ = kept | {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}

    def run(*lines):
        text = "\n".join([f'codexctl() {{ {sys.executable} -m codexctl "$@"; }}', *lines])
        done = subprocess.run(
            [str(WITH_MANAGER), "sh", "-c", text],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return done.stdout, done.stderr

    return run


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_from_install_to_uninstall(script, tmp_path, port):
    out, err = script(
        f"codexctl service install --port {port} --yes --json",
        "codexctl service status --json",
        "codexctl service restart --json",
        "systemctl --user --quiet stop codexd.service",
        "codexctl service status --json",
        "codexctl status --json >/dev/null",
        "codexctl service status --json",
        "codexctl service uninstall --yes --json",
        "systemctl --user --quiet is-active codexd.socket codexd.service || echo '\"gone\"'",
    )
    installed, running, restarted, waiting, started, uninstalled, gone = read_documents(out)
    assert err == ""
    assert [step["action"] for step in installed["steps"]] == ["create", "create", "run", "run"]
    assert installed["daemon"]["addresses"] == [f"http://127.0.0.1:{port}"]
    assert (running["active"], running["listening"], running["enabled"]) == (True, True, True)
    assert [each for each in running["problems"] if "no account" not in each] == []
    assert (running["pid"], restarted["before"]["pid"]) == (installed["daemon"]["pid"],) * 2
    assert restarted["daemon"]["pid"] != running["pid"]
    assert (waiting["active"], waiting["listening"], waiting["problems"]) == (False, True, [])
    assert started["active"]
    assert [step["action"] for step in uninstalled["steps"]][1:3] == ["remove", "remove"]
    assert gone == "gone"
    assert not (tmp_path / "home" / ".config" / "systemd").exists()
    assert not (tmp_path / "runtime" / "codexd").exists()


def test_an_install_that_fails_leaves_nothing(script, tmp_path, port):
    settings = tmp_path / "home" / ".config" / "codexd" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[upstream]\nidle_timeout = -1\n")
    out, err = script(
        f"codexctl service install --port {port} --yes || echo failed",
        "systemctl --user list-units --all --no-legend 'codexd*'",
        "systemctl --user list-unit-files --no-legend 'codexd*'",
    )
    assert out.splitlines()[-1] == "failed"
    assert "It was undone." in err
    assert sorted(path.name for path in (tmp_path / "home" / ".config").rglob("*")) == ["codexd", "settings.toml"]


def read_documents(text):
    decoder, documents = json.JSONDecoder(), []
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:]
    return documents
