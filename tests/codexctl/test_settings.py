import json
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from support.harness import HELLO, post, start_daemon

from codexctl.commands import run
from codexctl.render import settings as render_settings
from codexctl.render.base import Style

WIDE = Style(now=0.0, width=80)
PIPE = Style(now=0.0)


def item(name="models.opus", value=("a", "b"), **changes):
    return {
        "name": name,
        "value": list(value) if isinstance(value, tuple) else value,
        "default": ["gpt-5.5"],
        "source": "/home/me/settings.toml",
        "set_in_file": True,
        "fixed": False,
        "type": "names",
        "unit": None,
        "choices": None,
        "environ": ["CODEXD_MODELS_OPUS"],
        "meaning": "Models behind Claude Opus names",
        "secret": False,
        "restart_needed": False,
        "restart_pending": False,
    } | changes


PORT = item(
    "server.port",
    8082,
    default=8081,
    meaning="Port of the HTTP proxy",
    environ=["CODEXD_SERVER_PORT", "PORT"],
    restart_needed=True,
    restart_pending=True,
)
TIMEOUT = item("upstream.idle_timeout", 300.0, default=300.0, source="default", unit="s")
KEY = item("server.api_key", "set", default=None, secret=True, source="environment CODEXD_SERVER_API_KEY", fixed=True)
LIST = {"settings": [item(), PORT, TIMEOUT, KEY], "file": "/home/me/settings.toml", "problem": None}
CHANGE = {"name": "models.opus", "before": ["a"], "after": ["a", "b"], "restart_needed": False}
CHANGED = {"changed": [CHANGE], "file": "/home/me/settings.toml"}


@pytest.fixture
def ctl(environ, capsys):
    """Runs a command in this process; its exit status and what it wrote."""

    def call(*arguments):
        code = run(arguments, environ)
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("words", "method", "params", "result"),
    [
        ("settings", "settings.list", {}, LIST),
        ("settings list", "settings.list", {}, LIST),
        ("settings get models.opus", "settings.get", {"name": "models.opus"}, item()),
        ("settings set models.opus a,b", "settings.set", {"name": "models.opus", "value": "a,b"}, item()),
        ("settings set models.opus ['a','b']", "settings.set", {"name": "models.opus", "value": ["a", "b"]}, item()),
        (
            "settings set models.aliases {a='b'}",
            "settings.set",
            {"name": "models.aliases", "value": {"a": "b"}},
            item(),
        ),
        ("settings set log.history 7", "settings.set", {"name": "log.history", "value": "7"}, item()),
        ("settings set server.port -1", "settings.set", {"name": "server.port", "value": "-1"}, item()),
        ("settings unset models.opus", "settings.unset", {"name": "models.opus"}, item()),
        ("reload", "daemon.reload", {}, CHANGED),
    ],
)
def test_what_each_command_asks(daemon, ctl, words, method, params, result):
    daemon.answers[method] = result
    code, out, err = ctl(*words.split())
    assert (code, err) == (0, "")
    assert daemon.calls == [(method, params)]
    assert out
    _, as_json, _ = ctl(*words.split(), "--json")
    assert json.loads(as_json) == result


def test_a_broken_list_is_wrong_usage(daemon, ctl):
    code, out, err = ctl("settings", "set", "models.opus", "[a, b")
    assert (code, out, daemon.calls) == (2, "", [])
    assert "Lists can be given as a,b,c." in err


def test_a_refusal_is_in_the_daemons_words(daemon, ctl, scripting):
    _, refusal = scripting
    daemon.answers["daemon.reload"] = refusal("log.level = 'loud': must be one of\nserver.hots: no such setting")
    code, out, err = ctl("reload")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "codexctl: log.level = 'loud': must be one of",
        "server.hots: no such setting",
    ]


async def test_stop_waits_until_the_daemon_has_ended(tmp_path):
    async with trio.open_nursery() as clients:
        async with trio.open_nursery() as daemons:
            running = await start_daemon(daemons, tmp_path)
            running.load({"output": [{"text": "begun"}], "hold": "end", "after_events": 4})
            clients.start_soon(post, running, HELLO)
            with trio.fail_after(20):
                while not running.asked:
                    await trio.sleep(0.01)
                command = [sys.executable, "-m", "codexctl", "--socket", str(running.places.socket), "stop"]
                process = await clients.start(
                    partial(trio.run_process, command, stdout=subprocess.PIPE, capture_stderr=True)
                )
                said = b""
                while not said.endswith(b"\n"):
                    said += await process.stdout.receive_some()
                assert said == b"codexd is stopping; 1 request has up to 5 s to end.\n"
                with trio.move_on_after(0.5):
                    await process.wait()
                assert process.returncode is None
                running.simulator.release("end")
        with trio.fail_after(20):
            assert await process.wait() == 0


# -- what is printed ------------------------------------------------------------------------------


def test_the_table():
    assert render_settings.settings(LIST, WIDE) == [
        "SETTING                VALUE   FROM",
        "models.opus            a,b     settings.toml",
        "server.port            8082 *  settings.toml",
        "upstream.idle_timeout  300 s   default",
        "server.api_key         set     environment CODEXD_SERVER_API_KEY",
        "* takes effect when codexd is started again",
        "",
        "File: /home/me/settings.toml",
    ]
    broken = render_settings.settings(LIST | {"problem": "one\ntwo\x1b[2J"}, WIDE)
    assert broken[-2:] == ["  one", "  two\\x1b[2J"]


def test_one_setting_is_its_value_in_a_pipe_and_everything_on_a_terminal():
    assert render_settings.setting(item(), PIPE) == ["a,b"]
    assert render_settings.setting(item(value=None), PIPE) == [""]
    assert render_settings.setting(PORT, WIDE) == [
        "server.port = 8082",
        "  Port of the HTTP proxy.",
        "  from       /home/me/settings.toml",
        "  default    8081",
        "  variables  CODEXD_SERVER_PORT, PORT",
        "  a change   takes effect at the next start",
        "  The value takes effect when codexd is started again.",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (15.0, "15"),
        (0.25, "0.25"),
        (8081, "8081"),
        (None, ""),
        (["a", "b"], "a,b"),
        ({"a": "b", "c*": "d"}, "a=b,c*=d"),
        ("x\x1b[2J", "x\\x1b[2J"),
    ],
)
def test_values_are_written_as_they_are_set(value, text):
    assert render_settings.value_text(value) == text


def test_what_a_change_says():
    assert render_settings.was_set(item(), WIDE) == ["models.opus is now a,b."]
    assert render_settings.was_set(KEY, WIDE) == ["server.api_key is now set."]
    assert render_settings.was_set(PORT, WIDE) == [
        "server.port is 8082 in the settings file, which takes effect when codexd is",
        "started again.",
    ]
    assert render_settings.was_unset(item(), WIDE) == ["models.opus is now at its default, gpt-5.5."]
    assert render_settings.was_unset(KEY, WIDE) == ["server.api_key is now not set."]
    assert render_settings.changed(CHANGED, WIDE) == ["models.opus: a -> a,b"]
    assert render_settings.changed({"changed": [], "file": "x"}, WIDE) == ["No setting has changed."]
    key = {"name": "server.api_key", "before": "set", "after": "set", "restart_needed": True}
    assert render_settings.changed({"changed": [key], "file": "x"}, WIDE) == [
        "server.api_key: set -> another",
        "  takes effect when codexd is started again",
    ]


# -- the editor -----------------------------------------------------------------------------------

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
    assert (process.returncode, out) == (0, "No setting has changed.\n")
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
    assert "This can't be the settings file:\n  too loud\n" in screen.shown
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
    assert "the settings file stays as it was" in said
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
        (r"printf '\377' > $1", 1, "it is not UTF-8"),
    ],
)
def test_an_editor_that_fails(daemon, piped, editing, tmp_path, step, status, said):
    process = piped("settings", "edit", **editing(step))
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert said in err
    assert daemon.calls == [("settings.read", {})]
    shutil.rmtree(draft_of(tmp_path).parent, ignore_errors=True)


def test_an_editor_that_is_not_there(daemon, piped, editing):
    process = piped("settings", "edit", **editing(":") | {"VISUAL": "/nonexistent/editor --wait"})
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "/nonexistent/editor can't be started" in err
    process = piped("settings", "edit", VISUAL="", EDITOR="", PATH="/nonexistent")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "set EDITOR" in err
