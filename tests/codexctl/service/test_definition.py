from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexctl.service.definition import Definition, Origin, parse, read, sign

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
