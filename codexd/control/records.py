"""``logs.*``, ``requests.*`` and ``subscription.cancel``."""

from __future__ import annotations

from codexd.api import records as api
from codexd.control.method import Call
from codexd.errors import RequestInvalid
from codexd.record.why import explain


async def logs_history(call: Call, params: api.LogsHistory) -> api.LogEntries:
    return api.LogEntries(tuple(call.control.logs.history(params, params.limit)))


async def logs_follow(call: Call, params: api.LogsFollow) -> api.Subscription:
    follower = call.control.logs.subscribe(params, params.limit)
    return api.Subscription(call.session.follow("logs.follow", follower, call.replied))


async def requests_list(call: Call, params: api.RequestsList) -> api.RequestList:
    requests = [request.info for request in call.control.requests.snapshots]
    found = [request for request in requests if params.state in (None, request.state)]
    return api.RequestList(tuple(found[-params.limit :] if params.limit else ()))


async def requests_follow(call: Call, params: api.RequestsFollow) -> api.Subscription:
    follower = call.control.requests.subscribe(params.limit)
    return api.Subscription(call.session.follow("requests.follow", follower, call.replied))


async def requests_cancel(call: Call, params: api.RequestChoice) -> api.RequestInfo:
    return call.control.requests.cancel(params.id).info


async def requests_explain(call: Call, params: api.RequestMaybe) -> api.Explanation:
    requests = call.control.requests
    found = requests.find_last_failed() if params.id is None else requests.find(params.id)
    return explain(found, wall_now=call.control.clock())


async def subscription_cancel(call: Call, params: api.Subscription) -> api.Subscription:
    if not call.session.cancel(params.subscription):
        raise RequestInvalid("subscription", f"{params.subscription} is none of this connection's")
    return params
