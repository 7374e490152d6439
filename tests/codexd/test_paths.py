"""Where things are."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from codexd.paths import find_places, find_socket


def test_one_home_holds_everything(tmp_path):
    for places in (find_places({}, tmp_path), find_places({"CODEXD_HOME": str(tmp_path)})):
        assert places.settings == tmp_path / "settings.toml"
        assert places.accounts == tmp_path / "accounts.json"
        assert places.socket == tmp_path / "control.sock"


def test_the_flag_beats_the_environment(tmp_path):
    assert find_places({"CODEXD_HOME": "/elsewhere"}, tmp_path).state_dir == tmp_path


def test_the_socket_can_be_moved_alone(tmp_path):
    environ = {"CODEXD_HOME": str(tmp_path), "CODEXD_SOCKET": "/run/x.sock"}
    assert find_places(environ).socket == Path("/run/x.sock")
    assert find_places(environ).settings == tmp_path / "settings.toml"


def test_the_runtime_folder_is_used_where_there_is_one(tmp_path):
    assert find_socket({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "codexd" / "control.sock"
    state_dir = platformdirs.user_state_path("codexd", appauthor=False)
    assert find_socket({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}) == state_dir / "control.sock"
    assert find_socket({}) == state_dir / "control.sock"


def test_the_users_own_folders_are_platformdirs():
    places = find_places({})
    assert places.config_dir == platformdirs.user_config_path("codexd", appauthor=False)
    assert places.state_dir == platformdirs.user_state_path("codexd", appauthor=False)


@pytest.mark.parametrize("name", ["CODEXD_HOME", "CODEXD_SOCKET"])
def test_a_tilde_is_the_users_home(name):
    found = find_socket({name: "~/codexd"})
    assert found.is_relative_to(Path.home())
