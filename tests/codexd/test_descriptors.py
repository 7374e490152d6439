"""The limit of open files, its budget, and accepting within it."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys

import pytest
import trio

from codexd import bounds, descriptors
from codexd.descriptors import Budget, Slots, accept, is_exhausted
from codexd.web.server import bind, serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("limit", [32, 64, 128, 256, 1024, 4096, 10240, 1 << 20])
def test_a_budget_leaves_descriptors_for_the_daemon_itself(limit):
    budget = Budget.of(limit)
    assert 2 <= budget.clients <= bounds.CLIENTS
    assert 2 <= budget.control <= bounds.CONTROL_CLIENTS
    if limit >= 64:
        assert budget.clients * descriptors.PER_CLIENT + budget.control + descriptors.OWN_DESCRIPTORS <= limit


def test_a_usual_limit_allows_all_that_is_wanted():
    assert Budget.of(4096) == Budget(bounds.CLIENTS, bounds.CONTROL_CLIENTS)


@pytest.mark.parametrize(
    ("before", "refused", "after"),
    [
        ((1024, 1 << 20), [], bounds.DESCRIPTORS),
        ((1024, 4096), [], 4096),
        ((64, 64), [], 64),
        ((1 << 20, 1 << 20), [], 1 << 20),
        ((256, resource.RLIM_INFINITY), [bounds.DESCRIPTORS], descriptors.MACOS_DESCRIPTORS),
        ((256, resource.RLIM_INFINITY), [bounds.DESCRIPTORS, descriptors.MACOS_DESCRIPTORS], 256),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), [], resource.RLIM_INFINITY),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_the_system_lets_us(monkeypatch, before, refused, after):
    """The system is played here: a test can't raise a hard limit, and macOS refuses what others allow."""
    limits = list(before)

    def setrlimit(_, wanted):
        if wanted[0] in refused:
            raise ValueError("Invalid argument")
        limits[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    descriptors.raise_limit()
    assert limits == [after, before[1]]


def test_exhaustion_is_found_below_other_errors():
    low = OSError(errno.EMFILE, "Too many open files")
    high = RuntimeError("no connection")
    high.__cause__ = ExceptionGroup("all attempts", [ValueError(), low])
    assert is_exhausted(low)
    assert is_exhausted(high)
    assert not is_exhausted(OSError(errno.ECONNREFUSED, "refused"))
    assert not is_exhausted(None)


async def test_accepting_waits_for_a_descriptor_with_one_line_in_the_log(autojump_clock, caplog):
    caplog.set_level("INFO")

    class Exhausted:
        """A listener of a process that has no descriptor left for a while; the real limit would hit pytest too."""

        tries = 0

        async def accept(self):
            self.tries += 1
            if self.tries < 50:
                raise OSError(errno.EMFILE, "Too many open files")
            return "connection"

    assert await accept(Exhausted()) == "connection"
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "Too many open files. Raise its limit" in caplog.text


async def test_accepting_ends_if_the_listener_is_no_good():
    class Broken:
        async def accept(self):
            raise OSError(errno.EINVAL, "Invalid argument")

    with pytest.raises(OSError, match="Invalid argument"):
        await accept(Broken())


async def start(nursery, app, slots):
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]

    async def run(task_status):
        await serve(app, [listener], stop=trio.Event(), drain_s=0, slots=slots, task_status=task_status)

    await nursery.start(run)
    return port


async def answer(_scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_clients_beyond_the_bound_are_served_in_the_places_of_idle_ones(nursery):
    slots, most = Slots(3), 0
    port = await start(nursery, answer, slots)
    clients = []
    with trio.fail_after(20):
        for _ in range(12):
            client = await trio.open_tcp_stream("127.0.0.1", port)
            clients.append(client)
            await client.send_all(GET)
            assert (await client.receive_some(1000)).startswith(b"HTTP/1.1 200")
            most = max(most, slots.used)
    assert most == 3
    for client in clients:
        await client.aclose()


async def test_clients_beyond_the_bound_wait_while_all_others_are_busy(nursery):
    go_on = trio.Event()

    async def answer_later(scope, receive, send):
        await go_on.wait()
        await answer(scope, receive, send)

    slots = Slots(2)
    port = await start(nursery, answer_later, slots)
    answers = []

    async def ask():
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(GET)
            answers.append(await client.receive_some(1000))

    with trio.fail_after(20):
        async with trio.open_nursery() as clients:
            for _ in range(8):
                clients.start_soon(ask)
            with trio.move_on_after(0.3):
                while slots.used <= 2:
                    await trio.sleep(0.01)
            assert (slots.used, answers) == (2, [])
            go_on.set()
    assert len(answers) == 8
    assert all(each.startswith(b"HTTP/1.1 200") for each in answers)


def test_a_daemon_raises_its_limit():
    code = """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
from codexd.descriptors import raise_limit
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert int(ran.stdout) == (bounds.DESCRIPTORS if hard == resource.RLIM_INFINITY else min(bounds.DESCRIPTORS, hard))
