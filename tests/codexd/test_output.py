"""Output whose reader stands still, has gone, or was never there: the daemon goes on."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from codexd import bounds
from codexd.output import Output

LINE = "x" * 1023 + "\n"
COMMAND = [sys.executable, "-m", "codexd", "--simulate", "--port", "0"]
DEADLINE_S = 20.0


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        yield reader, writer


def fill(output):
    while not output.missing:
        output.write(LINE)


def test_texts_are_written_in_order(pipe):
    reader, writer = pipe
    output = Output(writer.fileno())
    for number in range(100):
        output.write(f"{number} é \udc80\n")
    assert output.drain(DEADLINE_S)
    assert reader.read(1 << 16).decode() == "".join(f"{number} é \\udc80\n" for number in range(100))


def test_a_reader_that_stands_still_costs_lines_and_is_told(pipe):
    reader, writer = pipe
    output = Output(writer.fileno())
    output.note = lambda missing: f"{missing} missing\n"
    fill(output)
    output.write("never read\n")
    assert not output.drain(0)
    assert output.waiting_bytes <= bounds.OUTPUT_BYTES
    read = b""
    while not read.endswith(b"missing\n"):
        read += reader.read(1 << 16)
    assert read.endswith(b"\n2 missing\n")
    assert set(read.splitlines()[:-1]) == {LINE.strip().encode()}
    output.write("read again\n")
    assert output.drain(DEADLINE_S)
    assert reader.read(1 << 16) == b"read again\n"
    assert output.missing == 0


def test_a_descriptor_that_another_program_made_non_blocking(pipe):
    reader, writer = pipe
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    output = Output(writer.fileno())
    for _ in range(200):
        output.write(LINE)
    read = b""
    while len(read) < 200 * len(LINE):
        read += reader.read(1 << 16)
    assert output.drain(DEADLINE_S)
    assert read == LINE.encode() * 200


@pytest.mark.parametrize("kind", ["broken-pipe", "closed", "full-disk"])
def test_an_output_that_can_not_be_written(kind):
    with ExitStack() as stack:
        if kind == "full-disk":
            if not Path("/dev/full").exists():
                pytest.skip("only Linux has /dev/full")
            descriptor = stack.enter_context(Path("/dev/full").open("wb", buffering=0)).fileno()
        else:
            reading, descriptor = os.pipe()
            os.close(reading)
            if kind == "closed":
                os.close(descriptor)
            else:
                stack.callback(os.close, descriptor)
        output = Output(descriptor)
        output.write("lost\n")
        assert output.drain(DEADLINE_S)
        assert output.missing == 1


def find_address(home):
    """Where the daemon listens, which it may have no way to say."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        shown = subprocess.run(
            [sys.executable, "-m", "codexctl", "--socket", home / "control.sock", "status", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode == 0:
            return json.loads(shown.stdout)["addresses"][0]
        time.sleep(0.05)  # nothing tells when a process that can say nothing is ready
    raise TimeoutError


def wait_until_missing(address, home):
    command = [sys.executable, "-m", "codexctl", "--socket", home / "control.sock", "status"]
    for _ in range(100):
        for _ in range(40):
            httpx.get(f"{address}/{'x' * 190}", trust_env=False, timeout=DEADLINE_S)
        if "not written to stderr" in subprocess.run(command, capture_output=True, text=True, check=False).stdout:
            return
    raise AssertionError("status says nothing")


@pytest.mark.parametrize("ends", ["stopped", "gone", "closed", "full"])
def test_a_daemon_whose_output_nobody_reads_serves_and_stops(tmp_path, ends):
    with ExitStack() as stack:
        command = [*COMMAND, "--home", str(tmp_path), "--log-level", "debug"]
        reading, writing = os.pipe()
        if ends in ("stopped", "gone"):
            fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
            while ends == "stopped":
                try:
                    os.write(writing, b"x" * 4096)
                except BlockingIOError:
                    break
            fcntl.fcntl(writing, fcntl.F_SETFL, 0)
            stack.callback(os.close, reading) if ends == "stopped" else os.close(reading)
            process = subprocess.Popen(command, stdout=writing, stderr=writing)
        else:
            os.close(reading)
            shell = {"closed": ">&- 2>&-", "full": ">/dev/full 2>/dev/full"}[ends]
            if ends == "full" and not Path("/dev/full").exists():
                pytest.skip("only Linux has /dev/full")
            process = subprocess.Popen(["sh", "-c", f'exec "$@" {shell}', "sh", *command])
        os.close(writing)
        stack.callback(process.kill)
        address = find_address(tmp_path)
        assert httpx.get(f"{address}/health", trust_env=False).status_code == 200
        if ends in ("gone", "full"):
            wait_until_missing(address, tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
