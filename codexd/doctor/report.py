"""Runs every check, in the order in which a user would mend things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import attrs
from attrs import field, frozen

from codexd import __version__
from codexd.accounts.sign_in.callback import CALLBACK_PORTS
from codexd.clients.address import find_address
from codexd.doctor import clients, daemons, home, installation, logins, network, ports, settings
from codexd.doctor.finding import Finding, Level, Report, Section, problem
from codexd.paths import Places
from codexd.settings.schema import Settings

Checks = Callable[[], Iterable[Finding]]


@frozen
class Question:
    """What to look at, and from where.

    ``places``: None if the user's home folder is unknown. ``network``: whether servers may be contacted. ``answers``:
    what the running daemon said. ``service``: what codexctl found about the service, which it manages.
    ``reinstall``: the command that installs codexd again. ``now``: seconds since the epoch.
    """

    places: Places | None
    environ: Mapping[str, str] = field(repr=False)
    answers: daemons.Answers
    now: float
    user: int
    working_dir: Path | None = None
    network: bool = False
    service: daemons.Service | None = None
    reinstall: str | None = None


@frozen
class Examined:
    """The report, and what it is based on, for the bundle."""

    report: Report
    configuration: settings.Configuration | None
    accounts: logins.Accounts | None
    installation: installation.Installation | None


def examine(question: Question) -> Examined:
    """Look at everything. Raises nothing: what can't be looked at is a finding."""
    return _Examination(question).run()


class _Examination:
    """One run. A topic may need what an earlier one has read; if that failed, it does without."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._environ, self._answers = question.environ, question.answers
        self._configuration: settings.Configuration | None = None
        self._accounts: logins.Accounts | None = None
        self._installation: installation.Installation | None = None

    def run(self) -> Examined:
        places = self._question.places
        in_home: tuple[tuple[str, str, Checks], ...] = (("files", "Files", _explain_no_home),)
        if places is not None:
            in_home = (
                ("files", "Files", partial(self._check_files, places)),
                ("settings", "Settings", partial(self._check_settings, places)),
                ("accounts", "Accounts", partial(self._check_accounts, places)),
            )
        topics: tuple[tuple[str, str, Checks], ...] = (
            ("installation", "Installation", self._check_installation),
            *in_home,
            ("daemon", "Daemon", self._check_daemons),
            ("network", "Network", self._check_network),
            ("clients", "Clients", self._check_clients),
            ("service", "Service", self._check_service),
        )
        sections = tuple(Section(topic, title, tuple(_gather(topic, checks))) for topic, title, checks in topics)
        report = Report(__version__, self._question.now, _without_repeats(sections))
        return Examined(report, self._configuration, self._accounts, self._installation)

    def _check_installation(self) -> Iterator[Finding]:
        self._installation = installation.look(self._environ, self._answers.installation, self._question.reinstall)
        yield from installation.check_installation(self._installation)
        yield from installation.check_limits(self._installation)

    def _check_files(self, places: Places) -> Iterator[Finding]:
        found = home.look(places, self._question.user, self._environ.get("SUDO_USER"))
        yield from home.check_files(found)
        yield from home.check_space(found)
        yield from home.check_kept(home.read_kept(places))

    def _check_settings(self, places: Places) -> Iterator[Finding]:
        self._configuration = settings.look(places, self._environ)
        yield from settings.check_settings(self._configuration, daemon_runs=self._answers.status is not None)

    def _check_daemons(self) -> Iterator[Finding]:
        yield from daemons.check_daemons(self._answers, self._start)
        yield from daemons.check_state(self._answers)
        server = self._settings.server
        if self._answers.status is None and server.port:
            yield from ports.check_address(ports.look(server.host, server.port), self._answers.running, self._listening)
        yield from settings.check_pending(self._answers.results.get("settings.list"))
        callbacks = tuple(ports.look("127.0.0.1", number) for number in CALLBACK_PORTS)
        yield from ports.check_callbacks(callbacks, self._answers.pids)

    def _check_accounts(self, places: Places) -> Iterator[Finding]:
        codex_home = clients.find_folder(self._environ, "CODEX_HOME", ".codex")
        self._accounts = logins.look(places, codex_home)
        listed = self._answers.results.get("accounts.list")
        states = {each["id"]: each["state"] for each in listed["accounts"]} if listed else None
        yield from logins.check_accounts(self._accounts, self._question.now, states)

    def _check_network(self) -> Iterator[Finding]:
        upstream = self._settings.upstream
        if not (self._answers.status or {}).get("simulated"):
            yield from network.check_daemon_environment(self._environ, self._answers.environ, self._manager)
        found = [
            *network.check_proxies(self._environ, (upstream.auth_url, upstream.backend_url)),
            *network.check_certificates(self._environ),
        ]
        yield from found
        may_ask = self._question.network and all(finding.level is not Level.PROBLEM for finding in found)
        probes = network.probe_servers(upstream, self._environ) if may_ask else ()
        yield from network.check_servers(probes)
        issued_at = self._accounts.issued_at if self._accounts else ()
        yield from network.check_clock(self._question.now, issued_at, probes)

    def _check_service(self) -> Iterator[Finding]:
        yield from daemons.check_service(self._question.service, self._answers.status)

    def _check_clients(self) -> Iterator[Finding]:
        start = None if self._answers.status is not None else self._start
        for client, method in ((clients.CLAUDE, "claude.status"), (clients.CODEX, "codex.status")):
            status = self._answers.results.get(method)
            set_up = clients.SetUp.of_status(status) if status else self._read_set_up(client)
            installed = clients.find_program(client.command, self._environ)
            yield from clients.check_client(client, installed, set_up, self._environ, start)

    def _read_set_up(self, client: clients.Client) -> clients.SetUp | None:
        server = self._settings.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        address = find_address((f"http://{host}:{server.port}",), self._settings)
        if client is clients.CLAUDE:
            folder = clients.find_folder(self._environ, "CLAUDE_CONFIG_DIR", ".claude")
            return clients.read_claude(folder, self._question.working_dir, self._environ, address) if folder else None
        folder = clients.find_folder(self._environ, "CODEX_HOME", ".codex")
        return clients.read_codex(folder, address) if folder else None

    @property
    def _start(self) -> str:
        """The command that starts codexd."""
        found = self._question.service
        return daemons.RESTART_SERVICE if found is not None and found.installed else daemons.START

    @property
    def _listening(self) -> str | None:
        """The manager that holds the socket of a service that does not run."""
        found = self._question.service
        return found.manager if found is not None and found.listening else None

    @property
    def _manager(self) -> str | None:
        """What started the running daemon: systemd, launchd, or a user."""
        started = (self._answers.status or {}).get("service") or {}
        return started.get("manager")

    @property
    def _settings(self) -> Settings:
        return (self._configuration or settings.NOT_READ).settings


def _gather(topic: str, checks: Checks) -> Iterator[Finding]:
    """The findings of a topic. A check that fails must not cost the user the rest of the report."""
    try:
        yield from checks()
    except Exception as error:  # noqa: BLE001 - the outermost door of a check
        reason = f"({type(error).__name__})"
        text = f"The {topic} could not be checked to the end {reason}, which is a fault of codexctl. Please report it."
        yield problem("check_failed", topic, text, "codexctl doctor --bundle codexd-bundle.txt")


def _explain_no_home() -> Iterator[Finding]:
    text = "Your home folder is unknown, so codexd has no place for its files. Set HOME, or CODEXD_HOME to a folder."
    yield problem("home_unknown", "HOME", text)


REPEATING = ("daemon_problem", "service_problem")
"""Kinds whose texts come from elsewhere, and may say what a check says, too."""


def _without_repeats(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Leave out what the daemon or the service says of a file or an account if a check says it, too."""
    everything = [each for section in sections for each in section.findings]
    texts = [each.text.casefold() for each in everything if each.kind not in REPEATING]

    def is_new(finding: Finding) -> bool:
        own = finding.text.casefold()
        return finding.kind not in REPEATING or not any(own in text or text in own for text in texts)

    return tuple(attrs.evolve(section, findings=tuple(filter(is_new, section.findings))) for section in sections)
