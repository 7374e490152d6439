"""``usage.summary``."""

from __future__ import annotations

from codexd.api import records as api
from codexd.control.method import Call


async def summarize_usage(call: Call, params: api.UsageOf) -> api.UsageReport:
    names = {account.id: account.label for account in call.control.store.accounts}
    return await call.control.usage.summarize(params.by, params.since or 0.0, names)
