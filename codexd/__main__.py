"""The ``codexd`` program: its arguments.

They are parsed before anything else is imported, so that ``--version``, ``--help`` and a typing error cost no more
than Python itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from codexd import __version__
from codexd.settings import LOG_LEVELS

EXAMPLES = """
examples:
  codexd --simulate            try everything without a ChatGPT account
  codexd                       serve the account that you added with `codexctl accounts add`
  ANTHROPIC_BASE_URL=http://127.0.0.1:8081 ANTHROPIC_AUTH_TOKEN=local claude
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it ends. Returns the exit status: 0, 1 (failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    options = _parser().parse_args(argv)
    try:
        from codexd.start import start  # noqa: PLC0415 - it imports the whole daemon

        return start(options)
    except KeyboardInterrupt:  # during the imports
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codexd",
        description="Let Claude Code and OpenAI clients use the Codex models of your own ChatGPT plan.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"codexd {__version__}")
    parser.add_argument("--host", help="address to listen on (setting server.host; default 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (setting server.port; default 8081)")
    parser.add_argument("--home", metavar="DIR", help="keep settings, accounts and the control socket in this folder")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="lowest level to log (setting log.level; default info)")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="format of the log on stderr")
    parser.add_argument(
        "--simulate",
        action="store_true",
        help="use a built-in simulated backend and account, in a temporary home unless --home is given",
    )
    parser.add_argument(
        "--faults",
        metavar="SPEC",
        help="let the simulated backend fail: a plan (flaky, overloaded, hostile, asked) or kinds with their rates, "
        "such as reset:body=0.05,status:503=1/50x10,seed=7. SPEC = help lists all",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
