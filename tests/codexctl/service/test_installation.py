import shlex
import sys
from pathlib import Path

import pytest

from codexctl.service.installation import Interpreter, Kind, find_installation, reinstall_command


@pytest.fixture
def make(tmp_path):
    """Makes a Python at a path with some files beside it, and the interpreter that it is."""

    def make_python(prefix, *beside, virtual=True, called_as="bin/codexctl", path="", source=None):
        prefix = tmp_path / prefix
        add_program(prefix / "bin" / "codexd")
        for name in beside:
            (prefix / name).parent.mkdir(parents=True, exist_ok=True)
            (prefix / name).touch()
        base = tmp_path / "usr" if virtual else prefix
        return Interpreter(prefix, base, (prefix / "bin",), prefix / called_as, path, source)

    return make_python


def add_program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("prefix", "beside", "virtual", "kind"),
    [
        ("home/.local/share/pipx/venvs/codexd", ["pipx_metadata.json"], True, Kind.PIPX),
        ("home/.local/share/uv/tools/codexd", ["uv-receipt.toml"], True, Kind.UV_TOOL),
        ("home/src/.venv", [], True, Kind.VENV),
        ("home/src/.venv", ["CACHEDIR.TAG"], True, Kind.VENV),
        ("opt/python", [], False, Kind.PYTHON),
    ],
)
def test_the_kinds(make, tmp_path, prefix, beside, virtual, kind):
    found = find_installation(make(prefix, *beside, virtual=virtual))
    assert (found.kind, found.executable) == (kind, tmp_path / prefix / "bin" / "codexd")
    assert found.problem is None


@pytest.mark.parametrize(
    ("beside", "command"),
    [
        (["pipx_metadata.json"], "pipx reinstall codexd"),
        (["uv-receipt.toml"], "uv tool install --reinstall codexd"),
        ([], f"{shlex.quote(sys.executable)} -m pip install --force-reinstall codexd"),
    ],
)
def test_how_to_install_again(make, beside, command):
    assert reinstall_command(make("anywhere", *beside)) == command


@pytest.mark.parametrize(
    ("prefix", "marked"),
    [
        ("home/.cache/uv/archive-v0/x7Hs", None),
        ("home/.local/share/pipx/.cache/3f2c", None),
        ("Library/Caches/uv/environments-v2/a", None),
        ("data/uv-cache/archive-v0/x7Hs", "data/uv-cache/CACHEDIR.TAG"),
    ],
)
def test_a_cache_is_no_place_for_a_service(make, tmp_path, prefix, marked):
    python = make(prefix)
    if marked:
        (tmp_path / marked).touch()
    assert "uv tool install codexd" in find_installation(python).problem


def test_a_path_that_an_upgrade_replaces_becomes_the_link_to_it(make, tmp_path):
    python = make("Cellar/codexd/0.1.0/libexec")
    link = tmp_path / "brew" / "codexd"
    link.parent.mkdir()
    link.symlink_to(python.prefix / "bin" / "codexd")
    assert "next upgrade" in find_installation(python).problem
    found = find_installation(python._replace(search_path=str(link.parent)))
    assert (found.executable, found.problem) == (link, None)


def test_a_link_to_another_installation_is_not_used(make, tmp_path):
    python = make("nix/store/abc-codexd")
    add_program(tmp_path / "bin" / "codexd")
    assert find_installation(python._replace(search_path=str(tmp_path / "bin"))).problem


def test_beside_a_shared_python_the_one_next_to_codexctl_is_meant(make, tmp_path):
    python = make("usr", virtual=False)
    add_program(tmp_path / "home" / "bin" / "codexd")
    found = find_installation(python._replace(called_as=tmp_path / "home" / "bin" / "codexctl"))
    assert found.executable == tmp_path / "home" / "bin" / "codexd"


def test_a_virtual_environment_never_borrows_another_codexd(make, tmp_path):
    python = make("venv")
    (tmp_path / "venv" / "bin" / "codexd").unlink()
    add_program(tmp_path / "home" / "bin" / "codexd")
    assert find_installation(python._replace(called_as=tmp_path / "home" / "bin" / "codexctl")) is None


def test_what_is_worth_knowing_is_said(make, tmp_path):
    [note, temporary] = find_installation(make("venv", source=Path("/src/codexd"))).notes
    assert "/src/codexd" in note
    assert "temporary folder" in temporary


@pytest.mark.parametrize("folder", ["a\nb", "\udcff"])
def test_a_path_that_a_service_file_can_not_have(make, folder):
    assert "another folder" in find_installation(make(folder)).problem


def test_this_interpreter():
    found = find_installation(Interpreter.current({"PATH": "/bin"}))
    assert found is None or found.executable.parent == Path(sys.prefix) / "bin"


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        ('{"url": "file:///home/me/a%20b", "dir_info": {"editable": true}}', Path("/home/me/a b")),
        ('{"url": "file:///home/me/x", "dir_info": {"editable": false}}', None),
        ('{"url": "https://example.com/x.whl", "archive_info": {}}', None),
        ("[]", None),
        ("", None),
    ],
)
def test_the_sources_of_an_editable_installation(tmp_path, monkeypatch, direct_url, source):
    folder = tmp_path / "codexd-9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: codexd\nVersion: 9\n")
    (folder / "direct_url.json").write_text(direct_url)
    monkeypatch.syspath_prepend(tmp_path)
    assert Interpreter.current({}).source == source
