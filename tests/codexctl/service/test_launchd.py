import plistlib
from pathlib import Path

import pytest

from codexctl.service.definition import Address, Definition, Origin, parse
from codexctl.service.launchd import LABEL, PLIST, Launchd, parse_print, read_values, render
from codexctl.service.manager import LogsWanted, read_template
from codexctl.service.steps import take

TEMPLATE = read_template(PLIST)
LOOPBACK = Address("127.0.0.1", 9000, ("127.0.0.1",))
LOG = Path("/Users/me/Library/Logs/codexd.log")
ODD = Definition(
    Path("/Users/m & <e>/-- x/codexd"), Path("/Users/me/--home"), environment={"HTTPS_PROXY": "http://a:b@<c>&--"}
)


@pytest.mark.parametrize("definition", [Definition(Path("/opt/codexd")), ODD])
def test_the_agent_runs_this_codexd_and_keeps_what_codexd_ships(definition):
    text = render(TEMPLATE, definition, LOOPBACK, LOG)
    values, shipped = plistlib.loads(text.encode()), plistlib.loads(TEMPLATE.encode())
    assert values["ProgramArguments"] == list(definition.command)
    assert values["Sockets"]["http"] == [{"SockFamily": "IPv4", "SockNodeName": "127.0.0.1", "SockServiceName": "9000"}]
    assert (values["StandardErrorPath"], values["StandardOutPath"]) == (str(LOG), str(LOG))
    assert values.get("EnvironmentVariables", {}) == definition.environment
    replaced = {"ProgramArguments", "Sockets", "StandardErrorPath", "StandardOutPath", "EnvironmentVariables"}
    assert {name: values[name] for name in values if name not in replaced} == {
        name: shipped[name] for name in shipped if name not in replaced
    }
    assert plistlib.loads(plistlib.dumps(values)) == values


@pytest.mark.parametrize("definition", [Definition(Path("/opt/codexd")), ODD])
def test_the_agent_is_known_as_ours(definition):
    found = parse(LOG, render(TEMPLATE, definition, LOOPBACK, LOG))
    assert (found.origin, found.definition) == (Origin.OURS, definition)


def test_every_address_has_a_socket():
    text = render(TEMPLATE, Definition(Path("/x")), Address("localhost", 1, ("127.0.0.1", "::1")), LOG)
    assert [each["SockFamily"] for each in read_values(text)["Sockets"]["http"]] == ["IPv4", "IPv6"]


@pytest.mark.parametrize("text", ["", "<plist>", "bplist00", "\udcff", "<plist><array/></plist>"])
def test_a_broken_property_list_has_no_values(text):
    assert read_values(text) == {}


def test_what_launchctl_prints():
    printed = "gui/501/x = {\n\tstate = running\n\tpid = 42\n\tsub = {\n\t\tpid = 9\n\t}\n\tlast exit code = 0\n}\n"
    assert parse_print(printed) == {"state": "running", "pid": "42", "sub": "{", "last exit code": "0"}


@pytest.fixture
def launchd(machine):
    return Launchd(machine._replace(platform="darwin"))


def install(launchd, machine, definition, before=None):
    wanted = launchd.render(definition, LOOPBACK)
    [path] = wanted
    found = before or parse(path, "")._replace(origin=Origin.ABSENT)
    steps = launchd.plan_install(wanted, {path: found}, linger=False)
    take(steps, machine, lambda _: None)
    return steps


def test_installing_writes_the_agent_and_loads_it(launchd, machine, definition, programs):
    install(launchd, machine, definition)
    [plist] = launchd.paths()
    assert programs.calls() == [f"launchctl enable gui/1000/{LABEL}", f"launchctl bootstrap gui/1000 {plist}"]
    assert launchd.read_program(plist.read_text()) == " ".join(definition.command)
    state = launchd.state()
    assert (state.loaded, state.enabled, state.active, state.pid, state.restarts) == (True, True, True, 42, 0)
    found = parse(plist, plist.read_text())
    assert install(launchd, machine, definition, found) == []


def test_an_update_unloads_the_agent_and_waits_until_it_is_gone(launchd, machine, definition, programs):
    install(launchd, machine, definition)
    [plist] = launchd.paths()
    programs.write(calls=[])
    install(launchd, machine, definition._replace(port=1), parse(plist, plist.read_text()))
    assert programs.calls() == [
        f"launchctl bootout gui/1000/{LABEL}",
        f"launchctl enable gui/1000/{LABEL}",
        f"launchctl bootstrap gui/1000 {plist}",
    ]


def test_uninstalling_unloads_and_removes_the_agent(launchd, machine, definition, programs):
    install(launchd, machine, definition)
    [plist] = launchd.paths()
    take(launchd.plan_uninstall([parse(plist, plist.read_text())]), machine, lambda _: None)
    assert programs.state["loaded"] == []
    assert not plist.exists()
    assert not launchd.state().loaded


def test_over_ssh_without_a_screen_the_domain_is_the_users(launchd, programs):
    programs.write(fail={"launchctl print gui/": "Domain does not support specified action"}, loaded=["x"])
    assert launchd.restart() is None
    assert programs.calls("launchctl print-disabled") == [
        f"launchctl kill SIGTERM user/1000/{LABEL}",
        f"launchctl kickstart user/1000/{LABEL}",
    ]


def test_a_restart_that_fails_says_why(launchd, programs):
    programs.write(loaded=["x"], fail={"launchctl kickstart": "Could not find service"})
    assert launchd.restart() == "Could not find service"


def test_where_an_agent_listens(launchd):
    text = render(TEMPLATE, Definition(Path("/x")), Address("localhost", 1, ("127.0.0.1", "::1")), LOG)
    assert launchd.read_listens(text) == ["127.0.0.1:1", "[::1]:1"]
    assert launchd.read_listens(TEMPLATE) == ["127.0.0.1:8081"]
    assert launchd.read_listens("<plist><dict/></plist>") == []


def test_a_disabled_agent_is_a_problem(launchd, programs):
    programs.write(enabled=[LABEL])
    [problem] = launchd.state().problems
    assert f"launchctl enable gui/1000/{LABEL}" in problem


def test_a_restart_loads_an_agent_that_is_not_loaded(launchd, programs):
    assert launchd.restart() is None
    [plist] = launchd.paths()
    assert programs.calls("launchctl print-disabled") == [f"launchctl bootstrap gui/1000 {plist}"]


def test_the_log_is_a_file(launchd, machine):
    log = str(machine.home / "Library" / "Logs" / "codexd.log")
    assert launchd.logs(LogsWanted(5, follow=True, since=None, as_json=False)) == ["tail", "-n", "5", "-F", log]
