"""The attack table: what web pages, other users and odd clients may try, and what they must get for it."""

from __future__ import annotations

import gzip
import json
import os
import socket
import stat
import subprocess
import sys
import zlib
from contextlib import suppress

import pytest
import trio
from support.harness import HELLO, start_daemon

from codexd import bounds
from codexd.control.socket import bind_socket
from codexd.errors import AlreadyRunning, SettingInvalid

BODY = json.dumps(HELLO).encode()
LENGTH = b"Content-Length: %d" % len(BODY)
LOCAL = b"Host: 127.0.0.1"


def post(*headers, body=BODY, target=b"/v1/messages"):
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", *headers, b"", body])


def get(*headers, target=b"/v1/models"):
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", *headers, b"", b""])


def chunked(*chunks, host=LOCAL, more=()):
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return post(host, b"Transfer-Encoding: chunked", *more, body=parts + b"0\r\n\r\n")


def nested(depth, opening=b"[", closing=b"]"):
    value = opening * depth + b"1" + closing * depth
    return b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"metadata":%b}' % value


def sent(body, *more):
    return post(LOCAL, b"Content-Length: %d" % len(body), *more, body=body)


ALLOWED, FORBIDDEN, BAD = (b"200",), (b"403",), (b"400",)
TOO_LARGE = (b"413",)

ATTACKS = {
    # Rebinding: a page whose name resolves to 127.0.0.1 has its own name in Host.
    "no attack": (sent(BODY), ALLOWED),
    "foreign host": (get(b"Host: evil.example"), FORBIDDEN),
    "foreign host with a port": (get(b"Host: evil.example:8081"), FORBIDDEN),
    "foreign host that begins like ours": (get(b"Host: 127.0.0.1.evil.example"), FORBIDDEN),
    "foreign host with a user": (get(b"Host: 127.0.0.1@evil.example"), FORBIDDEN),
    "foreign host behind a user": (get(b"Host: evil.example@127.0.0.1"), FORBIDDEN),
    "foreign host with a dot": (get(b"Host: evil.example."), FORBIDDEN),
    "foreign IPv6 host": (get(b"Host: [2001:db8::1]:8081"), FORBIDDEN),
    "any address": (get(b"Host: 0.0.0.0:8081"), FORBIDDEN),
    "loopback written as a number": (get(b"Host: 2130706433"), FORBIDDEN),
    "empty host": (get(b"Host:"), FORBIDDEN),
    "no host": (get(), BAD),
    "two hosts": (get(LOCAL, b"Host: evil.example"), BAD),
    "two hosts in one": (get(b"Host: 127.0.0.1, evil.example"), FORBIDDEN),
    "another host in the target": (get(LOCAL, target=b"http://evil.example/v1/models"), (b"403", b"404")),
    # CSRF: what a page may send without asking first.
    "form": (post(LOCAL, LENGTH, b"Origin: https://evil.example", b"Content-Type: text/plain"), FORBIDDEN),
    "form of an old browser": (post(LOCAL, LENGTH, b"Sec-Fetch-Site: cross-site"), FORBIDDEN),
    "form of another port": (post(LOCAL, LENGTH, b"Origin: http://127.0.0.1:3000"), FORBIDDEN),
    "form of a file": (post(LOCAL, LENGTH, b"Origin: null"), FORBIDDEN),
    "same site, another port": (post(LOCAL, LENGTH, b"Sec-Fetch-Site: same-site"), FORBIDDEN),
    "two origins": (post(LOCAL, LENGTH, b"Origin: http://127.0.0.1", b"Origin: https://evil.example"), FORBIDDEN),
    "two sites": (post(LOCAL, LENGTH, b"Sec-Fetch-Site: none", b"Sec-Fetch-Site: cross-site"), FORBIDDEN),
    "image": (get(LOCAL, b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: no-cors", target=b"/health"), FORBIDDEN),
    "preflight": (
        get(LOCAL, b"Origin: https://evil.example", b"Access-Control-Request-Method: POST").replace(b"GET", b"OPTIONS"),
        FORBIDDEN,
    ),
    # Smuggling: two readers of one request must not disagree about where it ends.
    "two lengths": (post(LOCAL, LENGTH, b"Content-Length: 3"), BAD),
    "two lengths in one": (post(LOCAL, b"Content-Length: 3, 4"), BAD),
    "length and coding": (post(LOCAL, LENGTH, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), BAD),
    "coding and length": (post(LOCAL, b"Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n"), BAD),
    "coding of HTTP/1.0": (
        post(LOCAL, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
        BAD,
    ),
    "signed length": (post(LOCAL, b"Content-Length: +3"), BAD),
    "negative length": (post(LOCAL, b"Content-Length: -3"), BAD),
    "length in hexadecimal": (post(LOCAL, b"Content-Length: 0x3"), BAD),
    "endless length": (post(LOCAL, b"Content-Length: " + b"9" * 30), (b"400", b"413")),
    "unknown coding": (post(LOCAL, b"Transfer-Encoding: xchunked"), (b"400", b"501")),
    "coding twice": (post(LOCAL, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), (b"400", b"501")),
    "coding before another": (post(LOCAL, b"Transfer-Encoding: chunked, identity"), (b"400", b"501")),
    "space before the colon": (post(LOCAL, b"Transfer-Encoding : chunked"), BAD),
    "folded header": (post(LOCAL, b"X: a", b" Transfer-Encoding: chunked", LENGTH), (b"200", b"400")),
    "NUL in a header": (get(LOCAL, b"X: a\0b"), BAD),
    "NUL in the target": (get(LOCAL, target=b"/v1/\0models"), BAD),
    "CR in a header": (get(LOCAL, b"X: a\rY: b"), BAD),
    "chunk size that is none": (post(LOCAL, b"Transfer-Encoding: chunked", body=b"-1\r\n\r\n"), BAD),
    "chunk size of 20 digits": (post(LOCAL, b"Transfer-Encoding: chunked", body=b"f" * 21 + b"\r\n"), BAD),
    "chunk without its end": (post(LOCAL, b"Transfer-Encoding: chunked", body=b"1\r\nab\r\n"), BAD),
    "giant chunk extension": (
        post(LOCAL, b"Transfer-Encoding: chunked", body=b"1;" + b"a" * 200_000),
        (b"400", b"431"),
    ),
    # Sizes.
    "giant head": (get(LOCAL, b"X: " + b"a" * 200_000), (b"400", b"431")),
    "many headers": (get(LOCAL, *(b"X-%d: a" % number for number in range(20_000))), (b"400", b"431")),
    "giant target": (get(LOCAL, target=b"/" + b"a" * 200_000), (b"400", b"414", b"431")),
    "giant length": (post(LOCAL, b"Content-Length: %d" % (bounds.BODY_BYTES + 1)), TOO_LARGE),
    "giant chunks": (chunked(*[b" " * bounds.MIB] * 40), TOO_LARGE),
    "gzip bomb": (sent(gzip.compress(b" " * 200_000_000, 9), b"Content-Encoding: gzip"), TOO_LARGE),
    "gzip bomb in a bomb": (
        sent(gzip.compress(gzip.compress(b" " * 200_000_000, 9)), b"Content-Encoding: gzip, gzip"),
        TOO_LARGE,
    ),
    "deflate bomb in chunks": (
        chunked(zlib.compress(b" " * 100_000_000, 9), more=(b"Content-Encoding: deflate",)),
        TOO_LARGE,
    ),
    "many codings": (sent(BODY, b"Content-Encoding: " + b", ".join([b"gzip"] * 50)), BAD),
    "deep lists": (sent(nested(100_000)), BAD),
    "deep objects": (sent(nested(100_000, b'{"a":', b"}")), BAD),
    "deep and never closed": (sent(b"[" * 1_000_000), BAD),
    "many values": (sent(nested(1)[:-2] + b"[" + b"1," * 5_000_000 + b"1]}"), (b"400", b"413")),
    "giant number": (sent(BODY.replace(b"100", b"9" * 1_000_000)), BAD),
    "giant exponent": (sent(BODY.replace(b"100", b"1e999999999")), BAD),
    "giant key": (sent(b'{"%b":1,' % (b"k" * 5_000_000) + BODY[1:]), (b"200", b"400")),
    "giant model": (sent(BODY.replace(b"claude-sonnet-5-5", b"m" * 5_000_000)), (b"200", b"400")),
    "same key a million times": (sent(b"{" + b'"a":1,' * 1_000_000 + BODY[1:]), (b"200", b"400", b"413")),
}


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


async def exchange(running, data):
    """What the daemon answers to ``data``."""
    client = await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))
    answer = b""
    async with client:
        with trio.fail_after(60), suppress(trio.BrokenResourceError):
            async with trio.open_nursery() as both:

                async def send():
                    with suppress(trio.BrokenResourceError):
                        await client.send_all(data)

                both.start_soon(send)
                while b"\r\n\r\n" not in answer:
                    if not (part := await client.receive_some(1 << 16)):
                        break
                    answer += part
                both.cancel_scope.cancel()
    return answer


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_gets_the_answer_it_deserves(running, name):
    data, statuses = ATTACKS[name]
    answer = await exchange(running, data)
    assert answer.startswith(tuple(b"HTTP/1.1 " + status for status in statuses)), answer[:300]
    assert b"access-control-allow-origin" not in answer.lower()
    if statuses != ALLOWED and b"200" not in statuses:
        assert running.asked == []
    assert (await exchange(running, sent(BODY))).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in running.log_text()


@pytest.mark.parametrize("number", [2, 50])
async def test_pipelined_requests_are_answered_in_their_order(running, number):
    """Each one is judged on its own: a refused one doesn't open the way for the next."""
    client = await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))
    await client.send_all((get(LOCAL, target=b"/health") + get(b"Host: evil.example")) * number)
    await client.send_eof()
    answer = b""
    with trio.fail_after(20):
        while data := await client.receive_some(1 << 16):
            answer += data
    await client.aclose()
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert [status for status in statuses if status != b"100"] == [b"200", b"403"] * number


# -- the control socket and the files -----------------------------------------------------------------

OTHER_USER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def connect_as(user, path):
    """What another user sees who connects to the socket and calls a method."""
    code = f"""
import os, socket
os.setgid({user}); os.setuid({user})
client = socket.socket(socket.AF_UNIX)
try:
    client.connect({str(path)!r})
    client.sendall(b'{{"jsonrpc":"2.0","id":1,"method":"daemon.status"}}\\n')
    print(len(client.recv(100)))
except OSError as error:
    print(type(error).__name__)
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@as_root
@pytest.mark.parametrize("mode", [0o600, 0o777])
async def test_another_user_gets_nothing_from_the_control_socket(running, tmp_path, mode):
    """Not even if the folders and the socket let everybody in."""
    path = running.places.socket
    path.chmod(mode)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    seen = await trio.to_thread.run_sync(connect_as, OTHER_USER, path)
    assert seen in (("PermissionError",) if mode == 0o600 else ("0", "ConnectionResetError", "BrokenPipeError"))
    assert (await running.call("daemon.status"))["pid"] == os.getpid()


def test_what_stands_at_the_path_of_the_socket_is_not_replaced(tmp_path):
    """A file, a link, and the socket of a daemon that lives, whoever made them."""
    file, link, living = (tmp_path / name for name in ("file", "link", "living"))
    file.write_text("mine")
    link.symlink_to(file)
    for path in (file, link):
        with pytest.raises(SettingInvalid, match="is not a socket"):
            bind_socket(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(living))
        listener.listen()
        with pytest.raises(AlreadyRunning):
            bind_socket(living)
    assert file.read_text() == "mine"


def test_the_socket_and_a_new_folder_are_for_their_owner_only(tmp_path):
    path = tmp_path / "new" / "control.sock"
    with bind_socket(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_settings_may_be_a_link_into_dotfiles(nursery, tmp_path):
    dotfiles, home = tmp_path / "dotfiles.toml", tmp_path / "home"
    home.mkdir()
    dotfiles.write_text("[rotation]\nenabled = true\n")
    (home / "settings.toml").symlink_to(dotfiles)
    running = await start_daemon(nursery, home)
    assert (await running.call("settings.get", name="rotation.enabled"))["value"] is True
    await running.call("settings.set", name="rotation.enabled", value=False)
    assert (home / "settings.toml").is_symlink()
    assert "enabled = false" in dotfiles.read_text()


async def test_a_home_behind_a_link_works_and_stays_private(nursery, tmp_path):
    real, home = tmp_path / "real", tmp_path / "home"
    real.mkdir(mode=0o755)
    home.symlink_to(real)
    await start_daemon(nursery, home)
    files = [path for path in real.rglob("*") if path.is_file()]
    assert files
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in files)
