import shlex
import shutil
from pathlib import Path

import pytest

CHANGE = {"name": "models.opus", "before": ["a"], "after": ["a", "b"], "restart_needed": False}
CHANGED = {"changed": [CHANGE], "file": "/home/me/settings.toml"}
BEFORE = "# mine\n[log]\nlevel = 'info'\n"


@pytest.fixture
def editing(daemon, tmp_path):
    """Gives the environment of an editor that takes one of its ``steps`` each time: shell on the file ``$1``."""
    daemon.answers["settings.read"] = {"file": "/settings.toml", "text": BEFORE, "template": "# all of it\n"}
    daemon.answers["settings.check"] = lambda params: {"problems": ["too loud"] * ("loud" in params["text"])}
    daemon.answers["settings.write"] = CHANGED

    def make_editor(*steps):
        for number, step in enumerate(steps, 1):
            (tmp_path / f"step{number}").write_text(f"{step}\n")
        script = tmp_path / "my editor"
        script.write_text(
            f"#!/bin/sh\ncd {tmp_path}\necho \"$1\" > draft\necho x >> turns\n. ./step$(wc -l < turns | tr -d ' ')\n"
        )
        script.chmod(0o700)
        return {"EDITOR": shlex.quote(str(script)), "VISUAL": ""}

    return make_editor


def draft_of(tmp_path):
    return Path((tmp_path / "draft").read_text().strip())


LOUD, QUIET = "sed -i s/info/loud/ $1", "sed -i s/loud/debug/ $1"


def test_a_good_edit_is_checked_and_written(daemon, piped, editing, tmp_path):
    process = piped("settings", "edit", **editing("sed -i s/info/debug/ $1; stat -c %a $(dirname $1) > mode"))
    out, err = process.communicate(timeout=20)
    after = BEFORE.replace("info", "debug")
    assert (process.returncode, out, err) == (0, "models.opus: a -> a,b\n", "")
    assert daemon.calls == [
        ("settings.read", {}),
        ("settings.check", {"text": after}),
        ("settings.write", {"text": after, "before": BEFORE}),
    ]
    assert (tmp_path / "mode").read_text() == "700\n"
    assert not draft_of(tmp_path).parent.exists()


def test_nothing_edited_is_nothing_written(daemon, piped, editing, tmp_path):
    process = piped("settings", "edit", **editing(":"))
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "No setting changed.\n")
    assert daemon.calls == [("settings.read", {})]
    assert not draft_of(tmp_path).parent.exists()


def test_a_file_that_is_not_there_yet_begins_as_the_template(daemon, piped, editing, tmp_path):
    daemon.answers["settings.read"] = {"file": "/settings.toml", "text": "", "template": "# all of it\n"}
    process = piped("settings", "edit", **editing("cp $1 seen; echo '[log]' >> $1"))
    process.communicate(timeout=20)
    assert (tmp_path / "seen").read_text() == "# all of it\n"
    assert daemon.calls[-1] == ("settings.write", {"text": "# all of it\n[log]\n", "before": ""})


def test_a_bad_edit_can_be_edited_again(daemon, terminal, editing, tmp_path):
    screen = terminal("settings", "edit", **editing(LOUD, QUIET))
    screen.wait_for("Edit it again? [y/N] ")
    assert "This is not a valid settings file:\n  too loud\n" in screen.shown
    assert [method for method, _ in daemon.calls] == ["settings.read", "settings.check"]
    screen.type("y\n")
    assert screen.end() == 0
    text = BEFORE.replace("info", "debug")
    assert daemon.calls[-1] == ("settings.write", {"text": text, "before": BEFORE})
    assert not draft_of(tmp_path).parent.exists()


@pytest.mark.parametrize("has_terminal", [True, False])
def test_a_bad_edit_is_kept_but_not_written(daemon, terminal, piped, editing, tmp_path, has_terminal):
    if has_terminal:
        screen = terminal("settings", "edit", **editing(LOUD))
        screen.wait_for("Edit it again? [y/N] ")
        screen.type("n\n")
        status, said = screen.end(), screen.shown
    else:
        process = piped("settings", "edit", **editing(LOUD))
        said = process.communicate(timeout=20)[1]
        status = process.returncode
    draft = draft_of(tmp_path)
    assert status == 1
    assert "the settings file was not changed" in said
    assert str(draft) in said.replace("\n", "")
    assert draft.read_text() == BEFORE.replace("info", "loud")
    assert [method for method, _ in daemon.calls] == ["settings.read", "settings.check"]
    shutil.rmtree(draft.parent)


def test_an_edit_that_the_daemon_refuses_to_write_is_kept(daemon, piped, editing, tmp_path, scripting):
    _, refusal = scripting
    daemon.answers["settings.write"] = refusal("it was changed by another program")
    process = piped("settings", "edit", **editing("echo '# more' >> $1"))
    _, err = process.communicate(timeout=20)
    draft = draft_of(tmp_path)
    assert process.returncode == 1
    assert f"your edit is kept in {draft}." in err
    assert "it was changed by another program" in err
    assert draft.read_text() == BEFORE + "# more\n"
    shutil.rmtree(draft.parent)


@pytest.mark.parametrize(
    ("step", "status", "said"),
    [
        ("exit 3", 1, "failed (status 3)"),
        ("rm $1", 1, "left no file"),
        (r"printf '\377' > $1", 1, "The text is not UTF-8"),
    ],
)
def test_an_editor_that_fails(daemon, piped, editing, tmp_path, step, status, said):
    process = piped("settings", "edit", **editing(step))
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert said in err
    assert daemon.calls == [("settings.read", {})]
    shutil.rmtree(draft_of(tmp_path).parent, ignore_errors=True)


def test_without_a_terminal_no_editor_is_chosen(daemon, piped, editing, tmp_path):
    (tmp_path / "nano").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "nano").chmod(0o755)
    process = piped("settings", "edit", **editing(":") | {"VISUAL": "", "EDITOR": "", "PATH": str(tmp_path)})
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "there is no terminal to edit on" in err) == (2, True)


def test_an_editor_that_is_no_command(daemon, piped, editing):
    process = piped("settings", "edit", **editing(":") | {"VISUAL": "", "EDITOR": '"'})
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (
        2,
        'codexctl: EDITOR is not a command: " (No closing quotation). Set it to an editor.\n',
    )


def test_an_editor_that_is_not_there(daemon, piped, editing):
    process = piped("settings", "edit", **editing(":") | {"VISUAL": "/nonexistent/editor --wait"})
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "can't start the editor /nonexistent/editor" in err
    process = piped("settings", "edit", VISUAL="", EDITOR="", PATH="/nonexistent")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "Set EDITOR" in err
