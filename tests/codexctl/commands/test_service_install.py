import json

from support.control_answers import SERVING


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def test_a_dry_run_shows_the_units_and_changes_nothing(codexctl, folder, programs, install):
    status, out, err = codexctl(*install, "--dry-run")
    assert (status, err) == (0, "")
    assert f"    +ListenStream=127.0.0.1:{install[-1]}" in out.splitlines()
    assert not folder.exists()
    assert programs.calls() == []


def test_without_a_terminal_nobody_can_be_asked(codexctl, folder, install):
    for options in ((), ("--json",)):
        status, out, err = codexctl(*install, *options)
        assert status == 2
        assert "Add --yes" in out + err
    assert not folder.exists()


def test_on_a_terminal_the_user_is_asked(codexctl, folder, terminal, install):
    asked = terminal(*install, **codexctl.environ)
    asked.wait_for("Install the service? [y/N]")
    asked.type("\n")
    assert asked.end() == 1
    assert "nothing was changed" in asked.shown
    assert not folder.exists()
    asked = terminal(*install, **codexctl.environ)
    asked.wait_for("Install the service? [y/N]")
    asked.type("y\n")
    assert asked.end() == 0
    assert names(folder) == ["codexd.service", "codexd.socket"]


def test_json_is_one_document(codexctl, folder, install):
    status, out, err = codexctl(*install, "--json", "--yes")
    done = json.loads(out)
    assert (status, err) == (0, "")
    assert [step["action"] for step in done["steps"]] == ["create", "create", "run", "run"]
    assert done["daemon"]["serving"] == SERVING
    status, out, _ = codexctl("service", "--json")
    found = json.loads(out)
    assert (status, found["installed"], found["enabled"], found["problems"]) == (0, True, True, [])


def test_secrets_of_copied_variables_are_kept_but_not_shown(codexctl, folder, install):
    shell = {"HTTPS_PROXY": "http://me:hunter2@proxy:3128", "CODEXD_SERVER_API_KEY": "sk-hunter2"}
    options = ("--env", "HTTPS_PROXY", "--env", "CODEXD_SERVER_API_KEY")
    shown = ""
    for extra in (("--dry-run",), ("--json", "--dry-run"), ("--yes",)):
        status, out, err = codexctl(*install, *options, *extra, **shell)
        assert (status, err) == (0, "")
        shown += out
    assert "proxy:3128" in shown
    assert "hunter2" not in shown
    unit = folder / "codexd.service"
    assert "HTTPS_PROXY=http://me:hunter2@proxy:3128" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o600


def test_a_variable_that_is_not_set_can_not_be_copied(codexctl, install):
    status, _, err = codexctl(*install, "--env", "NO_SUCH", "--yes")
    assert (status, err) == (2, "codexctl: --env NO_SUCH: this variable is not set in this shell.\n")


def test_a_failed_start_is_explained_and_undone(codexctl, folder, programs, install):
    programs.write(fail={"systemctl --user enable": "Job for codexd.service failed."})
    status, _, err = codexctl(*install, "--yes")
    assert status == 1
    assert err.splitlines() == [
        "codexctl: `systemctl --user --quiet enable --now codexd.socket codexd.service` failed: Job for codexd.service failed.",
        "It was undone.",
        "The log ends with:",
        "  its last words",
    ]
    assert not folder.exists()


def test_obstacles_end_it_before_anything_happens(codexctl, folder, install):
    folder.mkdir(parents=True)
    (folder / "codexd.service").write_text("[Service]\nExecStart=/other\n")
    status, out, err = codexctl(*install, "--yes")
    assert (status, err) == (1, "")
    assert "In the way: " in out
    assert names(folder) == ["codexd.service"]
    status, out, _ = codexctl(*install, "--yes", "--json")
    assert (status, len(json.loads(out)["obstacles"])) == (1, 1)
