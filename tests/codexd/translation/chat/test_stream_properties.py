import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming._deltas import accumulate_delta
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.answers import answers, custom_calls, images
from support.chunks import NOW, check_chunks, collect, finish_of, make_stream, open_seals, run

from codexd.errors import CodexdError, StreamBroken, UpstreamError
from codexd.translation.backend import EventParser
from codexd.translation.sse import Decoder

few = settings(deadline=None, max_examples=150)
ANSWERS = answers((custom_calls, images))
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": [], "usage": None}}


def parts_of(answer, kind):
    messages = [item for item in answer.items if item["type"] == "message"]
    return [part for item in messages for part in item["content"] if part["type"] == kind]


def content_of(answer):
    return "".join(part["text"] for part in parts_of(answer, "output_text"))


def annotations_of(answer):
    """Each citation once, at its place in the whole content, if it is in it."""
    found, start, whole = [], 0, len(content_of(answer))
    for item in answer.items:
        cited = []
        for part in item["content"] if item["type"] == "message" else ():
            for note in part.get("annotations", ()) if part.get("text") else ():
                at = {"start_index": start + note["start_index"], "end_index": start + note["end_index"]}
                page = {"url": note["url"], "title": note["title"], **at}
                if page not in cited and at["end_index"] <= whole:
                    cited.append(page)
            start += len(part.get("text", ""))
        found += [{"type": "url_citation", "url_citation": page} for page in cited]
    return found


def calls_of(answer):
    found = {}
    for item in answer.items:
        if item["type"] == "function_call":
            found[item["call_id"]] = (item["name"], item["arguments"] or "{}")
        elif item["type"] == "custom_tool_call":
            found[item["call_id"]] = (item["name"], item["input"])
    return found


def reasoning_of(answer):
    summaries = [item["summary"] for item in answer.items if item["type"] == "reasoning"]
    texts = ["\n\n".join(part["text"] for part in parts if part["text"]) for parts in summaries]
    return "\n\n".join(text for text in texts if text)


@few
@given(ANSWERS, st.booleans(), st.booleans())
def test_any_interleaving_gives_what_the_backend_said(answer, shows_reasoning, include_usage):
    made = run(answer.events, shows_reasoning=shows_reasoning, include_usage=include_usage)
    check_chunks(made, include_usage=include_usage)
    message = collect(made)["choices"][0]["message"]
    refusal = "".join(part["refusal"] for part in parts_of(answer, "refusal"))
    calls = calls_of(answer)
    assert (message["content"] or "") == content_of(answer)
    assert (message["refusal"] or "") == refusal
    called = [(call["id"], call[call["type"]]) for call in message.get("tool_calls", ())]
    assert [(name, tuple(call.values())) for name, call in called] == list(calls.items())
    assert message.get("reasoning_content", "") == (reasoning_of(answer) if shows_reasoning else "")
    ciphertexts = [item["encrypted_content"] for item in answer.items if item.get("encrypted_content")]
    assert open_seals(message) == (ciphertexts if shows_reasoning else [])
    urls = [image["image_url"]["url"] for image in message.get("images", ())]
    assert urls == [f"data:image/webp;base64,{item['result']}" for item in answer.items if item.get("result")]
    assert by_page(message["annotations"]) == by_page(annotations_of(answer))
    assert finish_of(made) == ("tool_calls" if calls else "stop")


def by_page(annotations):
    return sorted(json.dumps(annotation, sort_keys=True) for annotation in annotations)


@few
@given(ANSWERS)
def test_the_old_form_has_the_first_function_call_and_no_other(answer):
    made = run(answer.events, functions=True)
    message = collect(made)["choices"][0]["message"]
    assert "tool_calls" not in message
    if "function_call" in message:
        call = message["function_call"]
        assert (call["name"], call["arguments"]) in calls_of(answer).values()
    assert finish_of(made) == ("function_call" if calls_of(answer) else "stop")


FAILURES = [{"type": "error", "code": "server_error"}, {"type": "response.failed", "response": {"error": None}}]


@few
@given(ANSWERS, st.data(), st.sampled_from(FAILURES))
def test_a_failure_after_any_prefix_ends_without_a_finish_reason(answer, data, failure):
    stream = make_stream()
    length = data.draw(st.integers(0, len(answer.events) - 1))
    made = [made for event in answer.events[:length] for made in stream.receive_event(event, now=NOW)]
    with pytest.raises(UpstreamError):
        stream.receive_event(failure, now=NOW)
    assert {chunk["choices"][0]["finish_reason"] for chunk in made} <= {None}


STOPS = st.lists(st.text("ab01", min_size=1, max_size=3), max_size=3).map(tuple)


@few
@given(ANSWERS, STOPS, st.none() | st.integers(1, 6))
def test_the_same_events_give_the_same_chunks(answer, stop, max_tokens):
    options = {"stop": stop, "max_tokens": max_tokens, "shows_reasoning": True}
    made = run(answer.events, **options)
    check_chunks(made)
    assert run(answer.events, **options) == made


@few
@given(ANSWERS, STOPS)
def test_a_cut_answer_is_the_whole_one_up_to_the_stop(answer, stop):
    made = run(answer.events, stop=stop)
    message = collect(made)["choices"][0]["message"]
    expected, found = "", False
    for item in answer.items:
        text = "".join(part.get("text", "") for part in item["content"]) if item["type"] == "message" else ""
        hits = [text.find(sequence) for sequence in stop if sequence in text]
        expected += text[: min(hits)] if hits else text
        found = bool(hits)
        if found:
            break
    assert (message["content"] or "") == expected
    assert finish_of(made) == ("tool_calls" if calls_of(answer) and not found else "stop")


@few
@given(ANSWERS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["data:", "data: "]), st.booleans(), st.data())
def test_the_bytes_may_be_written_and_cut_in_any_way(answer, line_end, field, pretty, data):
    lines = []
    for event in answer.events:
        text = json.dumps(event, indent=1 if pretty else None)
        lines += [f"event: {event['type']}", *(field + line for line in text.splitlines()), "", ": comment", ""]
    body = line_end.join([*lines, ""]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    decoder = Decoder()
    frames = [
        frame
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        for frame in decoder.receive_data(body[start:end])
    ]
    parser = EventParser()
    assert run([event for frame in frames for event in parser.parse(frame)]) == run(answer.events)


@few
@given(ANSWERS)
def test_the_sdk_puts_every_stream_together(answer):
    """The real accumulator of the ``openai`` package takes every delta, and gets what we collect."""
    made = run(answer.events, shows_reasoning=True, include_usage=True)
    message = {}
    for chunk in made:
        if not any("custom" in entry for choice in chunk["choices"] for entry in choice["delta"].get("tool_calls", ())):
            ChatCompletionChunk.model_validate(chunk)  # its types know no custom calls in chunks
        for choice in json.loads(json.dumps(chunk))["choices"]:
            message = accumulate_delta(message, choice["delta"])
    document = collect(made)
    ChatCompletion.model_validate(document)
    ours = document["choices"][0]["message"]
    for call in message.get("tool_calls", ()):
        del call["index"]
    assert {**message, "content": message["content"] or None} == {
        key: value or None for key, value in ours.items() if value or key == "content"
    }


@few
@given(answers())
def test_the_sdks_stream_helper_takes_every_stream(answer):
    """It parses the arguments of a strict function when the next call begins."""
    tools = [{"type": "function", "function": {"name": name, "strict": True}} for name in ("Bash", "Read")]
    state = ChatCompletionStreamState(input_tools=tools)
    for chunk in run(answer.events):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    message = state.get_final_completion().choices[0].message
    arguments = {call.id: call.function.parsed_arguments for call in message.tool_calls or ()}
    assert arguments == {call_id: json.loads(text) for call_id, (_, text) in calls_of(answer).items()}


KINDS = [
    *("codex.rate_limits", "error", "keepalive"),
    *(
        f"response.{name}"
        for name in [
            "completed",
            "content_part.added",
            "content_part.done",
            "created",
            "custom_tool_call_input.delta",
            "custom_tool_call_input.done",
            "failed",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "image_generation_call.partial_image",
            "incomplete",
            "output_item.added",
            "output_item.done",
            "output_text.annotation.added",
            "output_text.delta",
            "output_text.done",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_text.delta",
            "refusal.delta",
            "refusal.done",
        ]
    ),
]
KEYS = [
    *("annotation", "annotations", "arguments", "call_id", "content", "content_index", "delta", "encrypted_content"),
    *("end_index", "error", "id", "incomplete_details", "input", "item", "item_id", "name", "output", "output_format"),
    *("output_index", "part", "reason", "refusal", "response", "result", "start_index", "status", "summary"),
    *("summary_index", "text", "title", "type", "url", "usage"),
]
WORDS = ["", "x", "url_citation", "message", "reasoning", "function_call", "custom_tool_call", "image_generation_call"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from([*WORDS, "refusal", "incomplete"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
JUNK_EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=6),
)


@few
@given(st.lists(JUNK_EVENTS, max_size=5))
def test_any_event_is_taken_or_is_a_failure(events):
    stream = make_stream(shows_reasoning=True)
    made = []
    try:
        for event in [*events, COMPLETED]:
            made += stream.receive_event(event, now=NOW)
    except CodexdError:
        return
    check_chunks(made)


@few
@given(ANSWERS, st.data())
def test_a_spoilt_event_in_an_answer_does_no_harm(answer, data):
    at = data.draw(st.integers(0, len(answer.events) - 1))
    spoilt = answer.events[at] | data.draw(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=3))
    spoilt = {**spoilt, "type": answer.events[at]["type"]}
    try:
        made = run([*answer.events[:at], spoilt, *answer.events[at + 1 :]], shows_reasoning=True)
    except StreamBroken:
        return  # a delta is missing now
    check_chunks(made)
    ChatCompletion.model_validate({**collect(made), "usage": None})
