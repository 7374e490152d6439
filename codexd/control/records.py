"""``logs.*``, ``requests.*`` and ``subscription.cancel``."""

from __future__ import annotations

from codexd.api import records as api
from codexd.control.call import Call
from codexd.errors import RequestInvalid
from codexd.record.requests import RequestRecord


async def logs_history(call: Call, params: api.LogsHistory) -> api.LogEntries:
    return api.LogEntries(tuple(call.control.logs.history(params, params.limit)))


async def logs_follow(call: Call, params: api.LogsFollow) -> api.Subscription:
    follower = call.control.logs.subscribe(params, params.limit)
    return api.Subscription(call.session.follow("logs.follow", follower, call.replied))


async def requests_list(call: Call, params: api.RequestsList) -> api.RequestList:
    records = call.control.requests.records
    newest = records[-params.limit :] if params.limit else []
    return api.RequestList(tuple(_request_info(record) for record in newest))


def _request_info(record: RequestRecord) -> api.RequestInfo:
    usage = record.usage
    tokens = (
        api.TokenCounts(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
        if usage
        else None
    )
    state = "running" if record.ended is None else "failed" if record.error else "done"
    return api.RequestInfo(
        id=record.id,
        client=record.client,
        model=record.model,
        model_used=record.model_used,
        account=record.account,
        state=state,
        started_at=record.started_at,
        ttft_ms=record.ttft_ms,
        duration_ms=record.duration_ms,
        tokens=tokens,
        status=record.status,
        error=record.error,
        losses=tuple(api.LossInfo(loss.kind.value, loss.path, loss.note) for loss in record.losses),
    )


async def subscription_cancel(call: Call, params: api.Subscription) -> api.Subscription:
    if not call.session.cancel(params.subscription):
        raise RequestInvalid("subscription", f"{params.subscription} is none of this connection's")
    return params
