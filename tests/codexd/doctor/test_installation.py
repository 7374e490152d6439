import os
from pathlib import Path

import attrs
import pytest

from codexd.doctor import installation
from codexd.doctor.finding import Level
from codexd.doctor.installation import Installation, is_satisfied

FINE = Installation(
    python="3.12.4",
    prefix="/v",
    requires_python=">=3.11",
    requirements=(
        "attrs>=25.3",
        "httpx[socks]<0.29,>=0.28",
        'old>=1; python_version < "3.12"',
        'mypy>=1; extra == "test"',
    ),
    packages={"attrs": "26.1.0", "httpx": "0.28.1"},
    programs={},
    descriptors=(1024, 524288),
)


def wrong(**changes):
    found = installation.check_installation(attrs.evolve(FINE, **changes))
    return [(each.kind, each.about, each.level) for each in found if each.level is not Level.OK]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        (
            {"python": "3.10.9"},
            [("python_unsupported", "3.10.9", Level.PROBLEM), ("package_missing", "old", Level.PROBLEM)],
        ),
        ({"packages": {"attrs": "26.1.0", "httpx": None}}, [("package_missing", "httpx", Level.PROBLEM)]),
        ({"packages": {"attrs": "25.2", "httpx": "0.28"}}, [("package_version", "attrs", Level.PROBLEM)]),
        ({"packages": {"attrs": "26", "httpx": "0.29.0"}}, [("package_version", "httpx", Level.PROBLEM)]),
        ({"requirements": (), "packages": {}}, [("no_metadata", "codexd", Level.NOTE)]),
        ({"daemon": Path("/other/bin")}, [("daemon_of_other_installation", "/other/bin", Level.NOTE)]),
        ({"daemon": Path("/v/bin")}, []),
    ],
)
def test_packages(changes, found):
    assert wrong(**changes) == found


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("0.28.1", ">=0.28,<0.29", True),
        ("0.29", ">=0.28,<0.29", False),
        ("1", ">=1.0", True),
        ("1.10", ">=1.9", True),
        ("2.0rc1", ">=2.0", True),
        ("1.4.9", "~=1.4.2", True),
        ("1.5", "~=1.4.2", False),
        ("3", "!=3.0", False),
        ("3", "==3.0", True),
        ("3", ">3", False),
        ("3", "<=3", True),
        ("anything", "", True),
    ],
)
def test_version_ranges(version, wanted, holds):
    assert is_satisfied(version, wanted) is holds


@pytest.mark.parametrize("packages", [{"attrs": "26"}, {"attrs": "26", "httpx": "0.1"}])
def test_how_to_install_again(packages):
    [found] = installation.check_installation(attrs.evolve(FINE, packages=packages, reinstall="pipx reinstall codexd"))
    assert found.remedy == "pipx reinstall codexd"


@pytest.fixture
def programs(tmp_path):
    def make(*folders):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / "codexd").write_text("")
            (tmp_path / folder / "codexd").chmod(0o755)
        return installation.look(
            {"PATH": os.pathsep.join(str(tmp_path / folder) for folder in folders)}, None, None
        ).programs

    return make


def test_the_programs_on_the_path(programs, tmp_path):
    prefix, own = str(tmp_path / "own"), "own/bin"
    found = programs(own, "other")
    assert found["codexd"] == (tmp_path / own / "codexd", tmp_path / "other/codexd")
    assert wrong(programs=found, prefix=prefix) == [("several_programs", "codexd", Level.NOTE)]
    turned = programs("other", own)
    assert wrong(programs=turned, prefix=prefix) == [("other_program_first", "codexd", Level.WARNING)]
    assert wrong(programs={"codexd": ()}, prefix=prefix) == [("not_on_path", "codexd", Level.NOTE)]


def test_a_link_to_the_program_is_the_program(programs, tmp_path):
    programs("own/bin")
    (tmp_path / "link").mkdir()
    (tmp_path / "link/codexd").symlink_to(tmp_path / "own/bin/codexd")
    linked = installation.look({"PATH": f"{tmp_path}/link:{tmp_path}/own/bin"}, None, None).programs
    assert wrong(programs=linked, prefix=str(tmp_path / "own")) == []


def test_this_installation():
    found = installation.look(dict(os.environ), None, None)
    assert found.packages["attrs"]
    assert [each for each in wrong_of(found) if each.level is Level.PROBLEM] == []


def wrong_of(found):
    return [*installation.check_installation(found), *installation.check_limits(found)]


@pytest.mark.parametrize(
    ("descriptors", "kind"),
    [((1024, 524288), "descriptors"), ((256, -1), "descriptors"), ((64, 64), "few_descriptors")],
)
def test_limits(descriptors, kind):
    [found] = installation.check_limits(attrs.evolve(FINE, descriptors=descriptors))
    assert found.kind == kind
