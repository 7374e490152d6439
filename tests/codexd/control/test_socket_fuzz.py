"""Whatever is sent to the control socket: the daemon answers the next client, and does not grow."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from attrs import frozen

from codexd import bounds, rpc
from codexd.control.dispatch import METHODS
from codexd.control.schema import fields_of

ROUND = 60
"""Connections of one round. Together they send more than MAX_GROWTH_KIB in four rounds, of which there are five more."""

AT_ONCE = 20
MAX_GROWTH_KIB = 16 * 1024

CALLABLE = [
    method
    for method in METHODS.values()
    if method.name != "daemon.stop" and not method.name.startswith(("claude.", "codex."))
]
"""Not those that edit files of other programs, such as those of the person who tests."""
STATUS = rpc.encode(rpc.Request("alive", "daemon.status"))


@frozen
class Target:
    process: subprocess.Popen
    path: Path
    log: Path

    async def connect(self):
        return await trio.open_unix_socket(str(self.path))

    async def is_alive(self):
        with trio.fail_after(30):
            stream = await self.connect()
            async with stream:
                await stream.send_all(STATUS)
                line = b""
                while not line.endswith(b"\n"):
                    line += await stream.receive_some()
        return json.loads(line)["id"] == "alive" and self.process.poll() is None

    def resident_kib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("fuzz")
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "CODEX_", "CLAUDE_"))
    }
    # A short ring is full after the first round; files of other programs are looked for below HOME.
    environ |= {"HOME": str(home), "CODEXD_LOG_HISTORY": "100"}
    command = [sys.executable, "-m", "codexd", "--simulate", "--port", "0", "--home", str(tmp_path / "codexd")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            assert process.stdout.readline()
            yield Target(process, tmp_path / "codexd" / "control.sock", tmp_path / "log")
        finally:
            process.kill()


def any_value(chance, depth=4):
    kinds = [None, True, 0, -1, 2**70, 1e308, -0.5, "", "ok", "\ud800\0", "x" * 3000]
    if depth == 0 or chance.random() < 0.5:
        return chance.choice(kinds)
    if chance.random() < 0.5:
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ["jsonrpc", "id", "method", "params", "result", "error", "", "x"]
    return {chance.choice(names): any_value(chance, depth - 1) for _ in range(chance.randrange(4))}


def noise(chance):
    return chance.randbytes(chance.randrange(5000)) + b"\n"


def any_json(chance):
    return b"".join(json.dumps(any_value(chance)).encode() + b"\n" for _ in range(10))


def almost_a_message(chance):
    names = {"jsonrpc": "2.0", "id": any_value(chance, 1), "method": "accounts.list", "params": any_value(chance)}
    members = {name: value for name, value in names.items() if chance.random() < 0.8}
    return json.dumps(chance.choice([members, [members] * chance.randrange(150)])).encode() + b"\n"


def any_call(chance):
    """A method with params of the right names; some of their values may be right as well."""
    method = chance.choice(CALLABLE)
    names = [field.name for field in fields_of(method.params)]
    params = dict(method.example) | {name: any_value(chance, 2) for name in names if chance.random() < 0.5}
    params[chance.choice([*names, "no_such"])] = any_value(chance, 3)
    return rpc.encode(rpc.Request(1, method.name, params))


def broken_call(chance):
    line = bytearray(any_call(chance))
    for _ in range(chance.randrange(1, 5)):
        line[chance.randrange(len(line))] = chance.randrange(256)
    return bytes(line)


def half_a_line(chance):
    line = any_call(chance)
    return line[: chance.randrange(len(line))]


def deep(chance):
    depth = chance.choice([100, 900, 990, 1000, 5000, 300_000])
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    value = opening * depth + b"1" + closing * chance.choice([0, depth])
    call = b'{"jsonrpc":"2.0","id":1,"method":"%s","params":{"%s":%s}}'
    name = chance.choice(CALLABLE).name.encode()
    return chance.choice([value, call % (name, b"value", value), call % (name, b"account", value)]) + b"\n"


def too_long(chance):
    return chance.choice([b"x", b"[", b" "]) * (bounds.CONTROL_LINE_BYTES + chance.randrange(2000))


def many_calls(chance):
    call = {"jsonrpc": "2.0", "id": 1, "method": chance.choice(["rpc.discover", "logs.history", "no.such"])}
    count, sent = chance.choice([(70, call), (3, [call] * 100)])
    return (json.dumps(sent).encode() + b"\n") * count


def follows(chance):
    return rpc.encode(rpc.Request(1, "logs.follow", {"limit": 100})) * 40 + STATUS


ATTACKS = [noise, any_json, almost_a_message, any_call, broken_call, half_a_line, deep, too_long, many_calls, follows]


async def attack(target, chance, payload):
    """Send it, then read a little, wait, or hang up at once; the daemon may have hung up before."""
    stream = await target.connect()
    async with stream:
        try:
            with trio.move_on_after(5):
                await stream.send_all(payload)
            for _ in range(chance.choice([0, 0, 1, 5])):
                with trio.move_on_after(0.05):
                    await stream.receive_some()
            if chance.random() < 0.3:
                await stream.send_eof()
        except trio.BrokenResourceError:
            pass


async def play_round(target, seed):
    chance, limit = random.Random(seed), trio.CapacityLimiter(AT_ONCE)

    async def play(payload):
        async with limit:
            await attack(target, chance, payload)

    async with trio.open_nursery() as nursery:
        for number in range(ROUND):
            nursery.start_soon(play, ATTACKS[number % len(ATTACKS)](chance))


@pytest.mark.parametrize("make", ATTACKS, ids=lambda make: make.__name__)
async def test_it_lives(target, make):
    chance, logged = random.Random(make.__name__), target.log.stat().st_size
    for _ in range(8):
        await attack(target, chance, make(chance))
    assert await target.is_alive()
    assert b"Traceback" not in target.log.read_bytes()[logged:]


async def test_two_hundred_connections_at_once(target):
    chance = random.Random(200)
    streams = [await target.connect() for _ in range(200)]
    for stream in streams[:100]:  # stay, with half a line or unread events
        await stream.send_all(chance.choice([half_a_line, follows])(chance))
    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(attack, target, chance, chance.choice([noise, any_json, half_a_line])(chance))
    for stream in streams[100:]:
        await stream.send_all(STATUS)
        with trio.fail_after(30):
            assert await stream.receive_some()
    assert await target.is_alive()
    for stream in streams:
        await trio.aclose_forcefully(stream)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says there how much memory is in use")
async def test_memory_stays_flat(target):
    sizes = []
    for seed in [*range(5)] * 3:
        await play_round(target, seed)
        sizes.append(target.resident_kib())
    assert await target.is_alive()
    # The same rounds three times: the first two show how much they take at once, and what leaks comes on top of that.
    assert sizes[-1] - max(sizes[:10]) < MAX_GROWTH_KIB, sizes
