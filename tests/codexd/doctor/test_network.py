import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import attrs
import pytest

from codexd.doctor import network
from codexd.doctor.finding import Level
from codexd.doctor.network import Probe
from codexd.settings.schema import UpstreamSettings

URLS = ("https://auth.openai.com", "https://chatgpt.com/backend-api")
LOCAL = "127.0.0.1,localhost"
NOW = 1_800_000_000.0


def wrong(findings):
    return [(each.kind, each.level) for each in findings if each.level is not Level.OK]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": LOCAL}, []),
        ({"HTTPS_PROXY": "http://proxy:8080"}, [("loopback_through_proxy", Level.WARNING)]),
        (
            {"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1", "no_proxy": LOCAL},
            [("proxies_disagree", Level.WARNING)],
        ),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://a:1", "no_proxy": LOCAL}, []),
        ({"ALL_PROXY": "ftp://x"}, [("proxy_invalid", Level.PROBLEM)]),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*"}, []),
    ],
)
def test_the_proxy_variables(environ, found):
    assert wrong(network.check_proxies(environ, URLS)) == found


def test_the_password_of_a_proxy_is_not_shown():
    environ = {"HTTPS_PROXY": "http://user:marked@proxy:8080", "NO_PROXY": f"chatgpt.com,{LOCAL}"}
    found = list(network.check_proxies(environ, URLS))
    assert [each.text for each in found] == [
        "auth.openai.com is reached through the proxy proxy:8080 (HTTPS_PROXY).",
        "chatgpt.com is reached without a proxy.",
    ]


@pytest.mark.parametrize(
    ("daemon", "manager", "remedy"),
    [
        (None, None, None),
        ({"https_proxy": "http://other:1", "SSL_CERT_FILE": "/x"}, None, None),
        ({"HTTPS_PROXY": "http://a:1"}, None, "codexctl restart"),
        ({"SSL_CERT_FILE": "/x"}, None, "codexctl restart"),
        ({"HTTPS_PROXY": "http://a:1"}, "systemd", "codexctl service install --env SSL_CERT_FILE"),
    ],
)
def test_what_the_running_daemon_was_not_told(daemon, manager, remedy):
    environ = {"HTTPS_PROXY": "http://me:marked@a:1", "SSL_CERT_FILE": "/y", "PATH": "/bin"}
    found = list(network.check_daemon_environment(environ, daemon, manager))
    assert [each.remedy for each in found] == ([remedy] if remedy else [])
    assert "marked" not in str(found)


def test_exceptions_from_a_proxy_matter_only_with_a_proxy():
    environ = {"NO_PROXY": "localhost"}
    assert list(network.check_daemon_environment(environ, {}, None)) == []
    assert len(list(network.check_daemon_environment(environ, {"ALL_PROXY": "http://a:1"}, None))) == 1


def test_certificates(tmp_path, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    broken = {"SSL_CERT_FILE": str(tmp_path / "none.pem")}
    assert wrong(network.check_certificates(broken, 100)) == [("certificates_invalid", Level.PROBLEM)]
    assert wrong(network.check_certificates({}, 100)) == []
    assert wrong(network.check_certificates({}, 0)) == [("no_certificates", Level.PROBLEM)]
    others = {"NODE_EXTRA_CA_CERTS": "/x.pem"}
    assert wrong(network.check_certificates(others, 100)) == [("other_certificates", Level.NOTE)]


def probe(**changes):
    return attrs.evolve(Probe("the backend", "https://chatgpt.com/backend-api", 403, NOW), **changes)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (probe(), "reachable"),
        (probe(status=503), "server_fails"),
        (probe(status=None, problem="the backend at chatgpt.com can't be reached"), "unreachable"),
        (probe(status=302, location="login.hotel.example"), "captive_portal"),
        (probe(status=511), "captive_portal"),
        (probe(status=302, location="www.chatgpt.com"), "reachable"),
        (probe(status=302, location="auth.openai.com"), "reachable"),
    ],
)
def test_the_answers_of_the_servers(found, kind):
    [finding] = network.check_servers((found,))
    assert finding.kind == kind


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("its name can't be resolved", "DNS"),
        ("network is unreachable", "IPv6"),
        ("did not answer in time", "firewall"),
    ],
)
def test_what_to_look_at_if_a_server_can_not_be_reached(reason, hint):
    [finding] = network.check_servers((probe(status=None, problem=f"the backend: {reason}"),))
    assert hint in finding.text


@pytest.mark.parametrize(
    ("issued_at", "dates", "found"),
    [
        ((), (), []),
        ((NOW - 10,), (), []),
        ((NOW + 60,), (), []),
        ((NOW + 7200,), (), [("clock_behind", Level.PROBLEM)]),
        ((NOW + 7200,), (NOW + 7200,), [("clock_wrong", Level.PROBLEM)]),
        ((), (NOW - 900, NOW), [("clock_wrong", Level.PROBLEM)]),
        ((), (NOW + 5,), []),
    ],
)
def test_the_clock(issued_at, dates, found):
    probes = tuple(probe(date=date) for date in dates)
    assert wrong(network.check_clock(NOW, issued_at, probes)) == found


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar = []

    def do_HEAD(self):
        self.asked.append(dict(self.headers))
        self.send_response(302)
        self.send_header("location", "http://portal.example/login")
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_asking_the_servers():
    with HTTPServer(("127.0.0.1", 0), Handler) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
        closed.close()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = UpstreamSettings(
            backend_url=f"http://127.0.0.1:{server.server_port}/backend-api", auth_url=f"http://127.0.0.1:{gone}"
        )
        sign_in, backend = network.probe_servers(settings, {})
        server.shutdown()
    assert sign_in.status is None
    assert "refused" in (sign_in.problem or "")
    assert (backend.status, backend.location) == (302, "portal.example")
    assert backend.date is not None
    assert "authorization" not in {name.lower() for name in Handler.asked[0]}


@pytest.mark.parametrize(
    ("skew_s", "said"), [(600, "10 minutes behind"), (-7200, "2 hours ahead of"), (-3 * 86400, "3 days ahead of")]
)
def test_how_wrong_the_clock_is(skew_s, said):
    [found] = network.check_clock(NOW, (), (probe(date=NOW + skew_s),))
    assert said in found.text


def test_a_proxy_that_is_turned_off():
    [found] = network.check_proxies({"NO_PROXY": "*"}, ())
    assert found.text == "NO_PROXY=* turns every proxy off."
