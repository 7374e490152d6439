import json


def test_without_a_service(codexctl):
    status, out, _ = codexctl("service", "status")
    assert status == 1
    assert out.startswith("codexd is not installed as a service of systemd.")
    status, _, err = codexctl("service", "restart")
    assert status == 1
    assert "`codexctl restart`" in err


def test_a_restart_with_broken_settings_leaves_the_old_one_alone(codexctl, programs, daemon, tmp_path, install):
    assert codexctl(*install, "--yes")[0] == 0
    settings = tmp_path / "home" / ".config" / "codexd" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("x = [")
    daemon.answers["settings.check"] = {"problems": ["not TOML"]}
    status, _, err = codexctl("service", "restart")
    assert status == 1
    assert err.splitlines()[-1] == "not TOML"
    assert not [call for call in programs.calls() if "restart" in call]


def test_a_restart_that_fails_shows_the_end_of_the_log(codexctl, programs, install):
    assert codexctl(*install, "--yes")[0] == 0
    programs.write(fail={"systemctl --user restart": "Job for codexd.service failed."})
    status, _, err = codexctl("service", "restart")
    assert (status, err.splitlines()[0]) == (1, "codexctl: Job for codexd.service failed.")
    assert err.splitlines()[-1] == "  its last words"


def test_logs_are_the_journals(codexctl, programs):
    status, out, err = codexctl("service", "logs", "-n", "3", "--since", "10m")
    assert (status, out, err) == (0, "its last words\n", "")
    call = next(call for call in programs.state["calls"] if call.startswith("journalctl"))
    assert "--lines=3" in call
    assert "--since=@" in call


def test_logs_as_json(codexctl):
    _, out, _ = codexctl("service", "logs", "--json")
    entries = [{"at": 1796086300.5, "message": "hello"}, {"at": 1796086301.5, "message": "hi\ufffd"}]
    assert json.loads(out) == {"entries": entries}
    _, out, _ = codexctl("service", "logs", "-f", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [{"entry": entry} for entry in entries]
