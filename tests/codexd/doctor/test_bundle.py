import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.doctor import bundle
from codexd.doctor.bundle import Contents, Identity, Mask
from codexd.doctor.finding import Report, Section, note

REPORT = Report("1.0", 1_800_000_000.0, (Section("files", "Files", (note("k", "x", "At /home/ann/x."),)),))
IDENTITY = Identity(("s3cret-key", "abc"), "/home/ann", "ann", "annsbox.example.org", "salt")
MASK = Mask(IDENTITY)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/.config and /home/ann", "~/.config and ~"),
        ("/home/annabel/x", "/home/annabel/x"),
        ("/media/ann/disk", "/media/<user>/disk"),
        ("ann is a name, banner is not", "ann is a name, banner is not"),
        ("on annsbox: up", "on <host>: up"),
        ("annsbox.example.org", "<host>"),
        ("x-api-key s3cret-key here", "x-api-key [redacted] here"),
        ("abc is too short to be a secret", "abc is too short to be a secret"),
        ("proxy http://u:pw@proxy:80", "proxy http://proxy:80"),
        ("authorization: Bearer abcdefghijklmnop", "authorization: [redacted]"),
        ("token eyJhbGciOiJub25lIn0.e30.c2ln", "token [redacted]"),
        ("input_tokens=1234", "input_tokens=1234"),
    ],
)
def test_what_is_hidden(text, shown):
    assert MASK.hide(text) == shown


def test_an_address_becomes_the_same_mark_throughout_and_another_in_another_bundle():
    hidden = MASK.hide("me@example.com, Me@Example.com, you@example.com, me%40example.com")
    first, second, third, fourth = hidden.split(", ")
    assert first == second == fourth != third
    assert "example" not in hidden
    other = Mask(Identity((), "/home/ann", "ann", "x", "other salt"))
    assert other.hide("me@example.com") != first


@given(st.text(), st.text(st.characters(categories=("L", "N"), max_codepoint=127), min_size=8, max_size=20))
def test_a_known_secret_is_hidden_wherever_it_stands(text, secret):
    mask = Mask(Identity((f"Q!{secret}",), "", "", "", ""))
    assert f"Q!{secret}" not in mask.hide(f"{text}Q!{secret}{text}")


def test_names_that_say_nothing_stay():
    mask = Mask(Identity((), "/root", "root", "localhost", ""))
    assert mask.hide("/var/root/x on localhost") == "/var/root/x on localhost"


def test_the_secrets_of_the_environment():
    environ = {
        "CODEXD_SERVER_API_KEY": "one",
        "ANTHROPIC_AUTH_TOKEN": "two",
        "HTTPS_PROXY": "http://three:four@proxy",
        "PATH": "/bin",
        "GITHUB_TOKEN": "not ours, and never written down",
    }
    assert set(bundle.find_secrets(environ)) == {"one", "two", "three", "four"}


def write(**changes):
    contents = Contents(REPORT, {"codexd": "1.0"}, (("server.port", 9, "file"),), **changes)
    return bundle.write_bundle(contents, IDENTITY)


def test_a_bundle_of_a_daemon_that_does_not_run():
    text = write()
    assert "Read it before you send it" in text
    assert "note     files/k: At ~/x." in text
    assert "codexd: 1.0" in text
    assert "server.port = 9  (file)" in text
    assert "== Log ==" not in text


def test_only_the_fields_of_a_request_that_are_listed():
    request = {"id": "req_1", "model": "gpt-5.5", "prompt": "marked", "error": None}
    text = write(daemon={"requests.list": {"requests": [request]}})
    assert '{"id": "req_1", "model": "gpt-5.5"}' in text
    assert "marked" not in text


def test_only_the_variables_that_matter_and_no_secret_value():
    text = write(environ={"GITHUB_TOKEN": "marked", "CODEXD_SERVER_API_KEY": "marked", "NO_PROXY": "localhost"})
    assert "marked" not in text
    assert "CODEXD_SERVER_API_KEY=[redacted]" in text
    assert "NO_PROXY=localhost" in text


def test_accounts_have_no_address_and_no_workspace():
    account = {
        "id": "0123",
        "label": "me@example.com",
        "email": "me@example.com",
        "workspace": "ws-marked",
        "state": "ok",
    }
    text = write(daemon={"accounts.list": {"accounts": [account]}})
    assert '"state": "ok"' in text
    assert "example.com" not in text
    assert "marked" not in text


@pytest.mark.parametrize(
    "unit",
    [
        'Environment="CODEXD_SERVER_API_KEY=marked"',
        "Environment=HTTPS_PROXY=http://me:marked@proxy:1",
        '# {"environment": {"CODEXD_SERVER_API_KEY": "marked"}}',
        "<key>CODEXD_SERVER_API_KEY</key>\n    <string>marked</string>",
        "<key>HTTPS_PROXY</key><string>http://me:marked@proxy:1</string>",
    ],
)
def test_the_secrets_of_a_unit_file(unit):
    text = write(units={"/x/codexd.service": f"[Service]\n{unit}\n"})
    assert "== /x/codexd.service ==" in text
    assert "marked" not in text


def test_units_and_log():
    entry = {"at": 0.0, "level": "info", "request": None, "message": "key s3cret-key", "fields": {"x": 1}}
    text = write(units={"/home/ann/codexd.service": "[Unit]"}, daemon={"logs.history": {"entries": [entry]}})
    assert "== ~/codexd.service ==\n[Unit]" in text
    assert '1970-01-01T00:00:00.000+00:00 info key [redacted] {"x": 1}' in text
