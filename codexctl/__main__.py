"""The ``codexctl`` program."""

from __future__ import annotations

import gc
import io
import os
import sys

gc.set_threshold(50_000)  # before the imports: collections while they run are a tenth of a short command's time

from codexctl.commands import run  # noqa: E402 - see above


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status (INTERFACE: codexctl)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an ASCII terminal gets ? for a quota bar, not a traceback
    try:
        status = run(sys.argv[1:] if arguments is None else arguments, os.environ)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has seen enough. Python flushes once more at exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
