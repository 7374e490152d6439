"""Memory that Python has freed goes back to the system."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/statm").exists(), reason="needs glibc and /proc"
)

MEASURE = """
import os
from codexd import memory

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

memory.return_large_blocks()
before = resident()
"""

FREE_BODIES = """
del bytearray(b"x" * 30_000_000)[:]
bodies, kept = [], []
for _ in range(40):
    bodies.append(bytearray(b"x" * 1_000_000))
    kept.append(bytearray(600))
bodies.clear()
print((resident() - before) // 1_000_000)
"""

FREE_BUFFERS = """
buffers, kept = [], []
for _ in range(400):
    buffers.append(bytearray(b"x" * 100_000))
    kept.append(bytearray(600))
buffers.clear()
memory.trim_heap()
print((resident() - before) // 1_000_000)
"""


@needs_glibc
@pytest.mark.parametrize("program", [FREE_BODIES, FREE_BUFFERS], ids=["large-bodies", "between-what-is-kept"])
def test_what_is_freed_is_given_back(program):
    done = subprocess.run([sys.executable, "-c", MEASURE + program], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 6
