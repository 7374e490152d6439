"""Chat streams: made of the backend's events, held against their grammar, and read back."""

import json

from codexd.translation.chat.collect import ChatCollector
from codexd.translation.chat.stream import ChatStream
from codexd.translation.reading.reasoning import unseal
from codexd.translation.reading.tool_names import ToolNames

NOW = 1_795_000_000.7
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_795_000_000, "model": "gpt-x"}
FIRST = {"role": "assistant", "content": ""}


def make_stream(tools=(), **options):
    return ChatStream(
        completion_id="chatcmpl-1",
        model="gpt-x",
        upstream_model="gpt-5.5",
        account_tag="0a1b2c3d",
        tool_names=ToolNames(tools),
        **options,
    )


def run(events, **options):
    stream = make_stream(**options)
    return [made for event in events for made in stream.receive_event(event, now=NOW)]


def collect(chunks):
    collector = ChatCollector()
    collector.receive_events(json.loads(json.dumps(chunks)))
    return collector.document


def deltas_of(chunks):
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def finish_of(chunks):
    (reason,) = [
        choice["finish_reason"]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["finish_reason"] is not None
    ]
    return reason


def check_chunks(chunks, *, include_usage=False):
    """``role delta* finish usage?``, one head, calls numbered without gaps and named once."""
    for chunk in chunks:
        assert {key: chunk[key] for key in HEAD} == HEAD
        assert ("usage" in chunk) is include_usage
    if include_usage:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["total_tokens"] >= 0
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
        chunks = chunks[:-1]
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    deltas = deltas_of(chunks)
    assert deltas[0] == FIRST
    assert deltas[-1] == {}
    assert [chunk["choices"][0]["finish_reason"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    calls = 0
    for delta in deltas[1:-1]:
        (key,) = delta
        if key in ("content", "refusal", "reasoning_content"):
            assert isinstance(delta[key], str)
            assert delta[key]
        elif key == "tool_calls":
            calls = check_entry(delta["tool_calls"], calls)


def check_entry(entries, calls):
    """The number of calls begun so far."""
    (entry,) = entries
    if "id" in entry:
        assert entry["index"] == calls
        assert isinstance(entry["id"], str)
        assert isinstance(entry[entry["type"]]["name"], str)
        return calls + 1
    assert entry["index"] < calls
    (kind,) = set(entry) - {"index"}
    (key,) = entry[kind]
    assert key == {"function": "arguments", "custom": "input"}[kind]
    assert isinstance(entry[kind][key], str)
    return calls


def open_seals(message):
    """The ciphertexts in a message's ``reasoning_details``."""
    return [unseal(entry["data"]).encrypted for entry in message.get("reasoning_details", [])]
