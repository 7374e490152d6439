import socket
from pathlib import Path

import pytest

from codexctl.service.address import Address, AddressInvalid, find_address, find_conflict
from codexctl.service.definition import Definition

CODEXD = Definition(Path("/x/codexd"))


@pytest.fixture
def settings(tmp_path):
    def write(text):
        (tmp_path / "settings.toml").write_text(text)
        return tmp_path / "settings.toml"

    return write


@pytest.mark.parametrize(
    ("text", "definition", "sockets"),
    [
        ("", CODEXD, ("127.0.0.1:8081",)),
        ("[server]\nport = 9000\n", CODEXD, ("127.0.0.1:9000",)),
        ('[server]\nport = "9000"\nhost = "[::1]"\n', CODEXD, ("[::1]:9000",)),
        ("[server]\nport = 9000\n", CODEXD._replace(port=9001), ("127.0.0.1:9001",)),
        ("[server]\nport = 9000\n", CODEXD._replace(environment={"CODEXD_PORT": "9002"}), ("127.0.0.1:9002",)),
        ('[server]\nhost = "0.0.0.0"\napi_key = "k"\n', CODEXD, ("0.0.0.0:8081",)),
        ('server = "x"\n', CODEXD, ("127.0.0.1:8081",)),
        ("\ufeff[server]\nport = 9000\n", CODEXD, ("127.0.0.1:9000",)),  # as the daemon reads it
    ],
)
def test_where_it_listens(settings, text, definition, sockets):
    assert find_address(definition, settings(text)).sockets == sockets


def test_without_a_settings_file_it_is_the_default(tmp_path):
    assert find_address(CODEXD, tmp_path / "none").sockets == ("127.0.0.1:8081",)


def test_a_name_is_resolved_to_every_address(settings):
    found = find_address(CODEXD, settings('[server]\nhost = "localhost"\n'))
    assert set(found.sockets) <= {"127.0.0.1:8081", "[::1]:8081"}
    assert str(found) == "localhost:8081"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server\n", "not TOML"),
        ("[server]\nport = 0\n", "fixed port"),
        ("[server]\nport = 65536\n", "fixed port"),
        ("[server]\nport = [1]\n", "fixed port"),
        ('[server]\nhost = "no such host.invalid"\n', "no address"),
        ('[server]\nhost = "0.0.0.0"\n', "server.api_key"),
        ('[server]\nhost = "::"\n', "server.api_key"),
    ],
)
def test_what_can_not_be_listened_on_says_what_to_do(settings, text, said):
    with pytest.raises(AddressInvalid, match=said):
        find_address(CODEXD, settings(text))


def test_a_port_in_use_is_found_and_a_free_one_stays_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert find_conflict(Address("127.0.0.1", port, ("127.0.0.1",)))[0] == f"127.0.0.1:{port}"
    assert find_conflict(Address("127.0.0.1", port, ("127.0.0.1",))) is None
    with socket.create_server(("127.0.0.1", port)):
        pass
