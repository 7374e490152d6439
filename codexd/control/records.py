"""``logs.*``, ``requests.*``, ``usage.summary`` and ``subscription.cancel``."""

from __future__ import annotations

from codexd.api import records as api
from codexd.control.method import Call, method
from codexd.errors import RequestInvalid, RequestNotFound
from codexd.record.why import explain


@method("logs.history", example={"limit": 20, "level": "warning"})
async def read_logs(call: Call, params: api.LogsHistory) -> api.LogEntries:
    """Log entries of the past, the oldest first."""
    return api.LogEntries(tuple(call.control.logs.history(params, params.limit)))


@method("logs.follow", example={"limit": 10, "contains": "gpt-5.5"}, event=api.LogEvent)
async def follow_logs(call: Call, params: api.LogsFollow) -> api.Subscription:
    """Log entries as they come."""
    follower = call.control.logs.subscribe(params, params.limit)
    return api.Subscription(call.session.follow(follow_logs.name, follower, call.replied))


@method("requests.list", example={"limit": 20})
async def list_requests(call: Call, params: api.RequestsList) -> api.RequestList:
    """Requests that run, and the last that ended."""
    requests = [request.info for request in call.control.requests.snapshots]
    found = [request for request in requests if params.state in (None, request.state)]
    return api.RequestList(tuple(found[-params.limit :] if params.limit else ()))


@method("requests.follow", example={"limit": 10}, event=api.RequestEvent)
async def follow_requests(call: Call, params: api.RequestsFollow) -> api.Subscription:
    """Requests as they start, go on and end."""
    follower = call.control.requests.subscribe(params.limit)
    return api.Subscription(call.session.follow(follow_requests.name, follower, call.replied))


@method("requests.cancel", example={"id": "req_4f1c2a"}, errors=(RequestNotFound,))
async def cancel_request(call: Call, params: api.RequestChoice) -> api.RequestInfo:
    """End a running request."""
    return call.control.requests.cancel(params.id).info


@method("requests.explain", example={"id": "req_4f1c2a"}, errors=(RequestNotFound,))
async def explain_request(call: Call, params: api.RequestMaybe) -> api.Explanation:
    """What happened to a request, and what to do about it."""
    requests = call.control.requests
    found = requests.find_last_failed() if params.id is None else requests.find(params.id)
    return explain(found, wall_now=call.control.clock())


@method("usage.summary", example={"by": "day"})
async def summarize_usage(call: Call, params: api.UsageOf) -> api.UsageReport:
    """Tokens and requests of the past, summed up."""
    names = {account.id: account.label for account in call.control.store.accounts}
    return await call.control.usage.summarize(params.by, params.since or 0.0, names)


@method("subscription.cancel", example={"subscription": 1})
async def cancel_subscription(call: Call, params: api.Subscription) -> api.Subscription:
    """End a follow."""
    if not call.session.cancel(params.subscription):
        raise RequestInvalid("subscription", f"this connection has no subscription {params.subscription}")
    return params


METHODS = (
    read_logs,
    follow_logs,
    list_requests,
    follow_requests,
    cancel_request,
    explain_request,
    summarize_usage,
    cancel_subscription,
)
