from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexctl.service.definition import AddressInvalid, Definition, Origin, find_address, parse, read, sign

PATH = Path("/home/me/codexd.service")
BODY = "# comment\n[Service]\nExecStart=/x\n"
EVERYTHING = Definition(
    Path("/opt/a -- b/codexd"),
    Path("/home/me/--"),
    "::1",
    9000,
    Path("/run/s"),
    {"HTTPS_PROXY": 'http://u:p---@"h"', "A": "é\udcff"},
    lingering=True,
)


@pytest.mark.parametrize(("comment", "line"), [("# {}", 0), ("<!-- {} -->", 2)])
@pytest.mark.parametrize("definition", [Definition(Path("/x")), EVERYTHING])
def test_a_signed_file_is_ours_and_says_what_it_was_made_from(comment, line, definition):
    text = sign(BODY, definition, comment=comment, line=line)
    found = parse(PATH, text)
    assert (found.origin, found.definition) == (Origin.OURS, definition)
    assert all("--" not in line.removeprefix("<!--").removesuffix("-->") for line in text.splitlines())


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_any_body_and_any_variables_come_back(body, environment):
    definition = Definition(Path("/x"), environment=environment)
    found = parse(PATH, sign(body, definition))
    assert (found.origin, found.definition) == (Origin.OURS, definition)


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        (lambda text: text + "Nice=5\n", Origin.EDITED),
        (lambda text: "# mine\n" + text, Origin.EDITED),
        (lambda text: text.replace("/x", "/y", 1), Origin.EDITED),
        (lambda text: text.replace('"sha256"', '"sha1"'), Origin.FOREIGN),
        (lambda text: text.replace('{"sha256"', "{sha256"), Origin.FOREIGN),
        (lambda text: text.replace('"executable"', '"surprise"'), Origin.FOREIGN),
        (lambda _: BODY, Origin.FOREIGN),
        (lambda _: "", Origin.FOREIGN),
    ],
)
def test_a_changed_file_is_told_from_ours(change, origin):
    text = change(sign(BODY, Definition(Path("/z"))))
    assert parse(PATH, text).origin is origin


def test_a_file_that_is_absent_or_a_link(tmp_path):
    assert read(tmp_path / "none").origin is Origin.ABSENT
    (tmp_path / "link").symlink_to("/dev/null")
    found = read(tmp_path / "link")
    assert (found.origin, found.target) == (Origin.LINK, "/dev/null")


def test_the_command_and_the_variables():
    assert EVERYTHING.command == ("/opt/a -- b/codexd", "--home", "/home/me/--", "--host", "::1", "--port", "9000")
    assert EVERYTHING.variables["CODEXD_SOCKET"] == "/run/s"
    assert Definition(Path("/x")).command == ("/x",)


# -- where it listens

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
