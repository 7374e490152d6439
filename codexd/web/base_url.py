"""What a path without a route was meant to be, and the base URL that leads there.

Clients join a base URL and a path of their own: Anthropic's add ``/v1/messages``, OpenAI's ``/chat/completions`` to a
base URL that already ends in ``/v1``. A base URL without that, with a second one, or with a slash too many gives a path
that is almost right. Pure.
"""

from __future__ import annotations

ANTHROPIC_PATHS = ("/v1/messages", "/v1/messages/count_tokens")
OPENAI_PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens")
SHARED_PATHS = ("/v1/models",)

_MODELS = ["v1", "models"]
"""What is below this path names a model, even if it ends like a route."""
_LONGEST_FIRST = sorted((*ANTHROPIC_PATHS, *OPENAI_PATHS, *SHARED_PATHS), key=len, reverse=True)


def find_meant(path: str) -> str | None:
    """The model route that ``path`` comes close to; None if it is one itself, or is something else."""
    parts = [part for part in path.lower().split("/") if part]
    for meant in _LONGEST_FIRST:
        own = meant.split("/")[2:]
        before = parts[: -len(own)]
        if parts[-len(own) :] == own and path != meant and before[:2] != _MODELS:
            return meant
    return None


def advise(path: str, host: str) -> str:
    """Which base URL leads to the route that ``path`` comes close to; empty if it comes close to none.

    ``host`` is the Host header.
    """
    meant = find_meant(path)
    if meant is None:
        return ""
    root = f"http://{host}"
    if meant in ANTHROPIC_PATHS:
        return f" Set the client's base URL to {root}; the route is {meant}."
    if meant in OPENAI_PATHS:
        return f" Set the client's base URL to {root}/v1; the route is {meant}."
    return f" Set the client's base URL to {root}/v1, or to {root} for Anthropic's clients; the route is {meant}."
