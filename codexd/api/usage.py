"""``usage.*``."""

from __future__ import annotations

from attrs import field, frozen

from codexd.api.params import one_of

GROUPINGS = ("model", "account", "day")


@frozen
class UsageOf:
    """``since``: only requests from that time on, in seconds since the epoch; ``by``: what a row is about."""

    since: float | None = None
    by: str = field(default="model", validator=one_of(GROUPINGS))


@frozen
class UsageRow:
    """The sums of some requests.

    ``name``: the model that was used, the account's email (the id of one that was removed), or the day in the
    daemon's time zone (``2026-11-18``); ``none`` for requests that got to no model or account.
    ``failed`` of the ``requests`` ended in an error. ``input_tokens`` includes the cached ones, ``output_tokens`` the
    reasoning. ``losses`` counts the fields that were dropped or approximated, ``ttft_ms`` is the mean time to the
    first token, None when there never was one.
    """

    name: str
    requests: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    losses: int
    ttft_ms: int | None


@frozen
class UsageReport:
    """``rows``: days in their order, else the most tokens first; ``total`` sums them up, under the name ``total``.

    ``since`` is the time of the oldest request counted, None when there is none. ``problem`` says why the figures may
    be incomplete.
    """

    by: str
    since: float | None
    rows: tuple[UsageRow, ...]
    total: UsageRow
    problem: str | None = None
