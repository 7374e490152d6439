"""The ``codexctl`` program."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path

gc.set_threshold(50_000)  # before the imports: garbage collection during them takes a tenth of a short command's time

from codexctl.cli import run  # noqa: E402 - see above
from codexctl.command import EXIT_REFUSED  # noqa: E402 - see above
from codexctl.terminal import OutputError, say, write_out  # noqa: E402 - see above


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    if sys.stdout is None:
        say("standard output is closed. Send it to /dev/null if you don't want to see it.")
        return EXIT_REFUSED
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an ASCII terminal gets ? for a quota bar, not a traceback
    try:
        status = run(sys.argv[1:] if arguments is None else arguments, os.environ)
        write_out("")
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _drop_output()
        return 0
    except OutputError as error:
        _drop_output()
        say(str(error))
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return 130
    return status


def _drop_output() -> None:
    """Python flushes once more at exit, which must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
