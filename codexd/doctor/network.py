"""The way to OpenAI: proxies, certificates, the clock and, if the user wants, whether its servers answer."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import trio
from attrs import frozen

from codexd.doctor.finding import Finding, note, ok, problem, warning
from codexd.errors import SettingInvalid, UpstreamError
from codexd.settings.schema import UpstreamSettings
from codexd.upstream.connection import to_unreachable
from codexd.upstream.http import make_tls, open_client
from codexd.upstream.proxies import Proxies

PROBE_TIMEOUT_S = 15.0
MAX_SKEW_S = 300.0
"""Further than this from the server's clock, tokens look expired, or not valid yet."""

PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
NAMES = (*PROXY_NAMES, *map(str.lower, PROXY_NAMES), "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that say how servers are reached."""

OTHER_CA_NAMES = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CODEX_CA_CERTIFICATE")
"""Where other programs find the CA of a company; codexd reads only ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``."""

BYPASS = 'export NO_PROXY="127.0.0.1,localhost,::1${NO_PROXY:+,$NO_PROXY}"; export no_proxy="$NO_PROXY"'


@frozen
class Probe:
    """One answer of a server, or why there is none.

    ``status`` is None without an answer. ``location``: the host that it redirects to. ``date``: the server's clock and
    ``at`` this machine's, in seconds since the epoch.
    """

    name: str
    url: str
    status: int | None
    at: float
    problem: str | None = None
    location: str | None = None
    date: float | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


# -- looking --------------------------------------------------------------------------------------


def probe_servers(settings: UpstreamSettings, environ: Mapping[str, str]) -> tuple[Probe, ...]:
    """Ask the sign-in server and the backend for a page, as the daemon would, but without any login.

    Raises:
        SettingInvalid: the environment names a proxy or certificates that can't be used.
    """
    targets = (("the sign-in server", settings.auth_url), ("the backend", settings.backend_url))
    return trio.run(partial(_probe_all, settings, targets, Proxies.of(environ), make_tls(environ)))


async def _probe_all(
    settings: UpstreamSettings, targets: tuple[tuple[str, str], ...], proxies: Proxies, tls: ssl.SSLContext
) -> tuple[Probe, ...]:
    probes: dict[str, Probe] = {}

    async def add(name: str, url: str) -> None:
        probes[name] = await _probe(http, name, url)

    connect = open_client(settings, proxies=proxies, tls=tls, keeps_connections=False)
    async with connect as http, trio.open_nursery() as nursery:
        for name, url in targets:
            nursery.start_soon(add, name, url)
    return tuple(probes[name] for name, _ in targets)


async def _probe(http: httpx.AsyncClient, name: str, url: str) -> Probe:
    request = http.build_request("HEAD", url)
    try:
        with trio.fail_after(PROBE_TIMEOUT_S):
            answer = await http.send(request)
    except (httpx.HTTPError, trio.TooSlowError) as error:
        reason: UpstreamError = to_unreachable(error, request, name)
        return Probe(name, url, None, time.time(), problem=str(reason))
    location = answer.headers.get("location", "")
    return Probe(
        name,
        url,
        answer.status_code,
        time.time(),
        location=urlsplit(location).hostname if answer.is_redirect else None,
        date=_read_date(answer.headers.get("date", "")),
    )


def _read_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


# -- checking -------------------------------------------------------------------------------------


def check_proxies(environ: Mapping[str, str], urls: tuple[str, ...]) -> Iterator[Finding]:
    """The proxy variables of this shell. ``urls``: of the servers that codexd uses."""
    for name in PROXY_NAMES:
        upper, lower = environ.get(name), environ.get(name.lower())
        if upper and lower and upper != lower:
            text = f"{name} and {name.lower()} differ in this shell. codexd uses {name.lower()}, others may not."
            yield warning("proxies_disagree", name, text, f'export {name}="${name.lower()}"')
    try:
        proxies = Proxies.of(environ)
    except SettingInvalid as error:
        name = str(error).split()[0]
        yield problem("proxy_invalid", name, str(error), f"unset {name}")
        return
    if not proxies.by_scheme:
        if "*" not in (environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
            yield ok("no_proxy", "proxy", "No proxy is set in this shell.")
        else:
            yield ok("no_proxy", "NO_PROXY", "NO_PROXY=* turns every proxy off.")
        return
    for url in urls:
        host, proxy = urlsplit(url).hostname or url, proxies.find(httpx.URL(url))
        text = f"{host} is reached through the proxy {proxy}." if proxy else f"{host} is reached without a proxy."
        yield ok("proxy", host, text)
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not any(host in excepted for host in ("127.0.0.1", "127.0.0.0/8")):
        yield warning(
            "loopback_through_proxy",
            "NO_PROXY",
            "This shell names a proxy, and NO_PROXY does not list 127.0.0.1: clients send requests for codexd to the "
            "proxy, which can't reach it.",
            BYPASS,
        )


def check_daemon_environment(
    environ: Mapping[str, str], daemon: Mapping[str, str] | None, manager: str | None
) -> Iterator[Finding]:
    """Variables of this shell that the running daemon lacks. ``daemon``: its own; None if unknown.

    ``manager``: what started it, systemd or launchd.
    """
    if daemon is None:
        return
    has_proxy = any(daemon.get(name) for name in NAMES if name.lower().endswith("_proxy"))
    wanted = [name for name in NAMES if environ.get(name) and (has_proxy or name.upper() != "NO_PROXY")]
    missing = [name for name in wanted if not daemon.get(name) and not daemon.get(name.swapcase())]
    if missing:
        names = ", ".join(missing)
        options = " ".join(f"--env {name}" for name in missing)
        yield warning(
            "daemon_lacks_variables",
            names,
            f"The running codexd was started without what this shell sets: {names}. It may not reach OpenAI's servers.",
            f"codexctl service install {options}" if manager else "codexctl restart",
        )


def check_certificates(environ: Mapping[str, str], file_count: int | None = None) -> Iterator[Finding]:
    """Whether there are certificates to verify servers by. ``file_count``: how many there are; counted if None."""
    try:
        tls = make_tls(environ)
    except SettingInvalid as error:
        name = str(error).split()[0]
        yield problem("certificates_invalid", name, str(error), f"unset {name}")
        return
    own = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)]
    count = _count_certificates(tls) if file_count is None else file_count
    if not count:
        yield problem(
            "no_certificates",
            "certificates",
            "This Python finds no certificates, so no server can be verified. On macOS, python.org's Python has a "
            '"Install Certificates.command" for that; elsewhere install the package ca-certificates.',
            'export SSL_CERT_FILE="$(python3 -m certifi)"',
        )
    elif own:
        yield ok("certificates", own[0], f"Servers are verified by {own[0]}={environ[own[0]]}.")
    else:
        yield ok("certificates", "system", "Servers are verified by the system's certificates.")
    if not own and (others := [name for name in OTHER_CA_NAMES if environ.get(name)]):
        yield note(
            "other_certificates",
            others[0],
            f"{others[0]} is set in this shell, but codexd reads only SSL_CERT_FILE. If your company inspects TLS, "
            "codexd needs a file with that CA and the system's.",
            _join_certificates(others[0]),
        )


def _join_certificates(variable: str) -> str | None:
    """The command that makes a file of the system's certificates and those of ``variable``."""
    system = ssl.get_default_verify_paths().cafile
    return system and f'cat {system} "${variable}" > ~/codexd-ca.pem; export SSL_CERT_FILE=~/codexd-ca.pem'


def _count_certificates(tls: ssl.SSLContext) -> int:
    """How many certificates, or files of them in a folder that OpenSSL reads as needed."""
    loaded = tls.cert_store_stats()["x509_ca"]
    folder = ssl.get_default_verify_paths().capath
    if loaded or not folder:
        return loaded
    try:
        return sum(1 for _ in Path(folder).iterdir())
    except OSError:
        return 0


def check_clock(now: float, issued_at: tuple[float, ...], probes: tuple[Probe, ...]) -> Iterator[Finding]:
    """Compare this machine's clock with when tokens were issued (in the past), and with the servers' clocks."""
    skews = [probe.date - probe.at for probe in probes if probe.date is not None and not _is_foreign(probe)]
    ahead_s = max((at - now for at in issued_at), default=0.0)
    set_it = "sudo timedatectl set-ntp true" if Path("/run/systemd").exists() else "date"
    if skews and abs(skew := max(skews, key=abs)) > MAX_SKEW_S:
        which = "behind" if skew > 0 else "ahead of"
        text = f"This machine's clock is {_minutes(abs(skew))} {which} the servers': tokens expire at the wrong time."
        yield problem("clock_wrong", "clock", text, set_it)
    elif ahead_s > MAX_SKEW_S:
        text = f"This machine's clock is behind: a login was issued {_minutes(ahead_s)} in its future."
        yield problem("clock_behind", "clock", text, set_it)
    elif skews:
        yield ok("clock", "clock", "The clock agrees with the servers'.")
    elif issued_at:
        yield ok("clock", "clock", "The clock is not behind the logins.")


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def check_servers(probes: tuple[Probe, ...]) -> Iterator[Finding]:
    """Whether the servers answered. Any answer will do: nothing was sent that they could accept."""
    for probe in probes:
        title = f"{probe.name[0].upper()}{probe.name[1:]}"
        look_for = f"curl -sSI {probe.url}"
        if probe.problem:
            text = f"{probe.problem[0].upper()}{probe.problem[1:]}."
            yield problem("unreachable", probe.host, f"{text}{_hint(probe.problem)}", look_for)
        elif _is_foreign(probe):
            where = f" to {probe.location}" if probe.location else ""
            text = f"The network answers in place of {probe.host} and redirects{where}. Sign in to the network first."
            yield problem("captive_portal", probe.host, text, look_for)
        elif probe.status is not None and probe.status >= 500:
            text = f"{title} at {probe.host} answers, but with status {probe.status}. It may be down; try again later."
            yield warning("server_fails", probe.host, text, look_for)
        else:
            yield ok("reachable", probe.host, f"{title} at {probe.host} answers.")


def _is_foreign(probe: Probe) -> bool:
    """Whether the answer is a captive portal's: it leads to another domain, or asks for a sign-in to the network."""
    if not probe.location:
        return probe.status == httpx.codes.NETWORK_AUTHENTICATION_REQUIRED
    domains = [".".join(host.split(".")[-2:]) for host in (probe.host, probe.location)]
    return domains[0] != domains[1] and domains[1] not in ("openai.com", "chatgpt.com")


def _hint(reason: str) -> str:
    """What the user may check."""
    if "can't be resolved" in reason:
        return " Check whether this machine is online and its DNS works; in a company, a proxy may be needed."
    if "unreachable" in reason:
        return " This machine may have only IPv6 or only IPv4, or no route at all."
    if "did not answer in time" in reason:
        return " A firewall may drop the packets; in a company, a proxy may be needed."
    return ""
