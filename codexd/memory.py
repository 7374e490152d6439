"""What glibc keeps of the memory that Python has freed. Other C libraries have neither function, and are left alone.

Sources: mallopt(3), malloc_trim(3).
"""

from __future__ import annotations

import ctypes

from codexd import bounds

LARGE_BLOCK_BYTES = 512 * bounds.KIB
"""Smaller ones are so frequent that what one leaves is used by the next."""

_M_MMAP_THRESHOLD = -3
_glibc = ctypes.CDLL(None)


def return_large_blocks() -> None:
    """Have the memory of large bodies given back as soon as they are done with.

    glibc stops doing so for blocks up to the largest one that was ever freed: after one body of 30 MB, what others
    leave is of no use for small objects. Eight of them at once, a few times, took 1.6 GB instead of 0.5 GB.
    """
    if (set_option := getattr(_glibc, "mallopt", None)) is not None:
        set_option(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


def trim_heap() -> None:
    """Give back what is free between blocks that are in use.

    Answers that are remembered for a day lie between buffers that lived for milliseconds: 40 MB in 20 minutes.
    """
    if (trim := getattr(_glibc, "malloc_trim", None)) is not None:
        trim(ctypes.c_size_t(0))
