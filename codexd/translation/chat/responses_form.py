"""Requests in the form of the Responses API on the route of Chat Completions, answered as Chat completions.

Cursor sends such requests, with ``input`` and ``instructions`` instead of ``messages``.
"""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field

from codexd.translation.chat.stream import ChatStream
from codexd.translation.client_api import Body, Client, Target
from codexd.translation.reading.fields import Fields
from codexd.translation.responses.request import Recall, ResponsesRequest, read_request
from codexd.translation.tokens import count_body

_RENAMED = {"max_completion_tokens": "max_output_tokens", "max_tokens": "max_output_tokens", "functions": "tools"}
"""Fields of Chat Completions, and what Responses calls them. Of two with one new name, the first counts."""
_NESTED = {"reasoning_effort": ("reasoning", "effort"), "verbosity": ("text", "verbosity")}


def is_responses_form(body: Fields) -> bool:
    return body.get("messages") is None and body.get("input") is not None


@define
class ResponsesFormRequest(ResponsesRequest):
    """What a client asked for; ``stop`` and ``include_usage`` are Chat's own."""

    stop: tuple[str, ...] = field(default=(), kw_only=True)
    include_usage: bool = field(default=False, kw_only=True)

    def open_stream(self, body: Body, target: Target, request_id: str) -> ChatStream:
        reasoning = self.body.optional_object("reasoning")
        return ChatStream(
            completion_id=f"chatcmpl-{request_id.removeprefix('req_')}",
            model=self.model,
            upstream_model=target.model.slug,
            account_tag=target.account_tag,
            tool_names=self.tool_names,
            shows_reasoning=bool(reasoning and reasoning.get("summary")),
            include_usage=self.include_usage or not self.stream,  # as for Chat's own form
            stop=self.stop,
            max_tokens=self.max_tokens,
            service_tier="priority" if "service_tier" in body else "default",
            count_input=lambda: count_body(body),
        )


def read_responses_form(body: Fields) -> ResponsesFormRequest:
    """The request in ``body``.

    Raises:
        RequestInvalid: names the field.
    """
    value = dict(body.value)
    stop = value.pop("stop", None)
    options = body.optional_object("stream_options")
    if options is not None:
        value["stream_options"] = {name: option for name, option in options.value.items() if name != "include_usage"}
    request = read_request(evolve(body, value=_rename(value)), {}, Client.OTHER, Recall(), ResponsesFormRequest)
    return evolve(
        request,
        stop=(stop,) if isinstance(stop, str) else tuple(body.strings("stop")),
        include_usage=options.boolean("include_usage") if options is not None else False,
    )


def _rename(value: dict[str, Any]) -> dict[str, Any]:
    for older, newer in _RENAMED.items():
        if value.get(older) is not None:
            renamed = value.pop(older)
            value[newer] = value.get(newer) if value.get(newer) is not None else renamed
    for name, (owner, key) in _NESTED.items():
        own = value.get(owner) if value.get(owner) is not None else {}
        if value.get(name) is not None and isinstance(own, dict):
            value[owner] = {key: value.pop(name), **own}
    if isinstance(value.get("tools"), list):
        value["tools"] = [{"type": "function", **tool} if isinstance(tool, dict) else tool for tool in value["tools"]]
    return value
