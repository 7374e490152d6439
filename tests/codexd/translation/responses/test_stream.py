"""The backend's events on their way to a client of the same API."""

import pytest
from hypothesis import given, settings
from support.answers import answers
from support.upstream_events import added, done

from codexd.errors import ContextOverflow, StreamBroken, UpstreamFailed
from codexd.translation.client_api import State
from codexd.translation.responses.stream import ResponseCollector, ResponsesStream

NOW = 1_795_000_000.0
USAGE = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}


def response(status="in_progress", **more):
    return {"id": "resp_1", "status": status, "model": "gpt-5.5", "output": [], **more}


def number(events, start=0):
    return [
        {**event, "sequence_number": index} if not event["type"].startswith("codex.") else event
        for index, event in enumerate(events, start)
    ]


CREATED = {"type": "response.created", "response": response()}
IN_PROGRESS = {"type": "response.in_progress", "response": response()}
DELTA = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": "Hi"}
COMPLETED = {"type": "response.completed", "response": response("completed", usage=USAGE)}
PLAIN = number([CREATED, IN_PROGRESS, added(0, **MESSAGE), DELTA, done(0, **MESSAGE), COMPLETED])


def make(model="gpt-5.5", *, verbatim=False):
    return ResponsesStream(model=model, verbatim=verbatim)


def run(events, stream=None):
    stream = stream or make()
    return [told for event in events for told in stream.receive_event(event, now=NOW)]


@pytest.mark.parametrize("verbatim", [True, False])
def test_events_go_on_as_they_are(verbatim):
    told = run(PLAIN, make(verbatim=verbatim))
    assert told[:-1] == PLAIN[:-1]
    assert told[-1]["sequence_number"] == 5


@pytest.mark.parametrize(("served", "named"), [("gpt-5.5", "opus"), ("gpt-5.2", "gpt-5.2")])
def test_headers_inside_events_name_the_model_as_the_client_did_unless_it_is_another(served, named):
    headers = {"openai-model": served, "x-codex-turn-state": "s"}
    created = {"type": "response.created", "response": response(headers=headers)}
    metadata = {"type": "response.metadata", "headers": headers}
    stream = ResponsesStream(model="opus", sent_model="gpt-5.5", verbatim=True)
    told = run([created, metadata, DELTA], stream)
    assert told[0]["response"]["headers"] == told[1]["headers"] == {**headers, "openai-model": named}


def test_the_last_event_has_the_whole_output_and_all_of_the_usage():
    stream = make("opus")
    told = run(PLAIN, stream)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    assert told[-1]["response"] == {
        **response("completed", output=[MESSAGE], usage={**USAGE, **details}),
        "model": "opus",
    }
    assert {event["response"]["model"] for event in told if "response" in event} == {"opus"}
    assert (stream.state, stream.stop_reason, stream.usage.input_tokens) == (State.ENDED, "completed", 10)
    assert not stream.is_empty
    assert stream.output_tokens == 1


def test_output_that_is_there_stays():
    full = {**COMPLETED, "response": response("completed", output=[{"type": "message", "content": []}])}
    assert run([*PLAIN[:-1], full])[-1]["response"]["output"] == [{"type": "message", "content": []}]


def test_items_that_end_out_of_order_are_put_in_order():
    first, second = {**MESSAGE, "id": "msg_1"}, {**MESSAGE, "id": "msg_2"}
    told = run([CREATED, added(0, **first), added(1, **second), done(1, **second), done(0, **first), COMPLETED])
    assert told[-1]["response"]["output"] == [first, second]


BARE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
PUT_TOGETHER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "HiHi", "annotations": [], "logprobs": []}],
}


@pytest.mark.parametrize("verbatim", [True, False])
@pytest.mark.parametrize("start", [[added(0, **BARE)], []], ids=["announced", "deltas-alone"])
def test_a_text_that_came_only_in_deltas_is_put_together(start, verbatim):
    stream = make(verbatim=verbatim)
    told = run(number([CREATED, *start, DELTA, DELTA, COMPLETED]), stream)
    assert told[-1]["response"]["output"] == [PUT_TOGETHER]
    assert {**told[-2], "sequence_number": 0} == {**done(0, **PUT_TOGETHER), "sequence_number": 0}
    assert not stream.is_empty


def test_an_item_without_an_id_gets_one():
    told = run([CREATED, {**DELTA, "item_id": None}, COMPLETED])
    assert told[-1]["response"]["output"] == [
        {**PUT_TOGETHER, "id": "msg_0", "content": [{**PUT_TOGETHER["content"][0], "text": "Hi"}]}
    ]


def test_an_unfinished_item_is_finished_as_the_last_event_has_it():
    full = {**COMPLETED, "response": response("completed", output=[MESSAGE])}
    told = run([CREATED, added(0, **BARE), DELTA, full])
    assert told[-2]["item"] == MESSAGE
    assert told[-1]["response"]["output"] == [MESSAGE]


def test_an_announcement_alone_is_no_item():
    stream = make()
    told = run([CREATED, added(0, **BARE), COMPLETED], stream)
    assert told[-1]["response"]["output"] == []
    assert stream.is_empty


def test_an_incomplete_answer_has_incomplete_items():
    ending = {"type": "response.incomplete", "response": response("incomplete")}
    told = run([CREATED, DELTA, ending])
    assert told[-1]["response"]["output"][0]["status"] == "incomplete"


def test_details_that_are_there_stay():
    usage = {**USAGE, "input_tokens_details": {"cached_tokens": 5, "x": 1}, "output_tokens_details": None}
    told = run([{**COMPLETED, "response": response("completed", usage=usage)}])
    assert told[-1]["response"]["usage"]["input_tokens_details"] == {"cached_tokens": 5, "x": 1}
    assert told[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}
    assert run([{**COMPLETED, "response": response("completed", usage=None)}])[-1]["response"]["usage"] is None


def test_the_backends_own_frames_are_for_the_codex_cli():
    limits = {"type": "codex.rate_limits", "plan_type": "plus"}
    keepalive = {"type": "keepalive", "sequence_number": 2}
    metadata = {"type": "response.metadata", "headers": {}, "sequence_number": 3}
    before, after = number([CREATED, IN_PROGRESS]), number([added(0, **MESSAGE), COMPLETED], 4)
    events = [limits, *before, keepalive, metadata, *after]
    assert run(events, make(verbatim=True))[:-1] == events[:-1]
    told = run(events)
    assert [event["type"] for event in told] == [event["type"] for event in (*before, *after)]
    assert [event["sequence_number"] for event in told] == [0, 1, 2, 3]


def test_nothing_goes_out_before_the_answer_begins():
    stream = make()
    assert run([CREATED, IN_PROGRESS], stream) == []
    assert stream.state is State.WAITING
    assert run([added(0, **MESSAGE)], stream) == [CREATED, IN_PROGRESS, added(0, **MESSAGE)]
    assert stream.state is State.STARTED


def test_an_empty_answer_is_known():
    stream = make()
    told = run([CREATED, COMPLETED], stream)
    assert stream.is_empty
    assert [event["type"] for event in told] == ["response.created", "response.completed"]


@pytest.mark.parametrize(("kind", "reason"), [("incomplete", "max_output_tokens"), ("incomplete", "content_filter")])
def test_incomplete_is_told_with_its_reason(kind, reason):
    stream = make()
    ending = {"type": "response.incomplete", "response": response(kind, incomplete_details={"reason": reason})}
    assert run([*PLAIN[:-1], ending], stream)[-1]["response"]["incomplete_details"] == {"reason": reason}
    assert stream.stop_reason == reason
    assert not stream.is_empty


def test_the_websockets_word_for_the_end_becomes_that_of_http():
    assert run([*PLAIN[:-1], {**COMPLETED, "type": "response.done"}])[-1]["type"] == "response.completed"


def test_nothing_follows_the_end():
    assert run([*PLAIN, *PLAIN]) == run(PLAIN)


# -- max_output_tokens ------------------------------------------------------------------------------

WORDS = [" one", " two", " three", " four"]
OPEN = {**MESSAGE, "content": []}
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def limited(max_tokens, words=WORDS):
    part = {"type": "output_text", "text": ""}
    deltas = [{"type": "response.output_text.delta", **PLACE, "delta": word} for word in words]
    events = [CREATED, added(0, **OPEN), {"type": "response.content_part.added", **PLACE, "part": part}, *deltas]
    stream = ResponsesStream(model="opus", verbatim=False, max_tokens=max_tokens, count_input=lambda: 20)
    whole = {**MESSAGE, "content": [{**part, "text": "".join(words)}]}
    return run(number([*events, done(0, **whole), COMPLETED]), stream), stream


def test_a_text_that_is_too_long_is_cut_and_the_answer_is_incomplete():
    told, stream = limited(2)
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[5]["text"] == " one two"
    response = told[-1]["response"]
    assert (response["model"], response["incomplete_details"]) == ("opus", {"reason": "max_output_tokens"})
    assert response["output"] == [told[-2]["item"]]
    assert response["output"][0]["content"][0]["text"] == " one two"
    assert response["usage"]["input_tokens"] == 20
    assert (stream.state, stream.stop_reason) == (State.ENDED, "max_output_tokens")


def test_a_delta_is_cut_inside():
    told, _ = limited(2, ["".join(WORDS)])
    assert [event["delta"] for event in told if event["type"].endswith("text.delta")] == [" one two"]


def test_a_text_that_fits_stays():
    told, stream = limited(4)
    assert told[-1]["type"] == "response.completed"
    assert stream.stop_reason == "completed"


# -- failures ---------------------------------------------------------------------------------------

FAILED = {
    "type": "response.failed",
    "sequence_number": 4,
    "response": response("failed", error={"code": "context_length_exceeded", "message": "too long"}),
}
ERROR = {"type": "error", "sequence_number": 4, "error": {"code": "server_error", "message": "oops"}}
FLAT = {"type": "error", "sequence_number": 4, "code": "server_error", "message": "oops", "param": None}
OURS = {"code": "c", "message": "m"}


@pytest.mark.parametrize("begun", [0, 1, 2, 4])
def test_a_failure_is_raised_and_ends_the_stream_in_the_backends_own_form(begun):
    stream = make("opus")
    told = run(PLAIN[:begun], stream)
    with pytest.raises(ContextOverflow):
        stream.receive_event(FAILED, now=NOW)
    told += stream.fail(OURS)
    last = told[-1]
    assert [event["type"] for event in told] == [event["type"] for event in (*PLAIN[:begun], FAILED)]
    assert last["response"] == {**FAILED["response"], "model": "opus"}
    assert last["sequence_number"] == begun


@pytest.mark.parametrize("event", [ERROR, FLAT])
def test_an_error_event_is_followed_by_the_failed_response_that_clients_wait_for(event):
    stream = make()
    told = run(PLAIN[:4], stream)
    with pytest.raises(UpstreamFailed):
        stream.receive_event(event, now=NOW)
    told += stream.fail(OURS)
    assert told[-2] == event
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"]["error"] == OURS
    assert told[-1]["sequence_number"] == 5


def test_a_broken_stream_ends_with_a_failed_response():
    stream = make("opus")
    told = run(PLAIN[:5], stream) + stream.fail({"code": "stream_disconnected", "message": "cut"})
    assert told[-1] == {
        "type": "response.failed",
        "sequence_number": 5,
        "response": {
            **response("failed", output=[MESSAGE], model="opus"),
            "error": {"code": "stream_disconnected", "message": "cut"},
        },
    }


def test_a_stream_that_never_began_fails_with_what_there_is():
    assert make().fail(OURS) == [
        {"type": "response.failed", "sequence_number": 0, "response": {"status": "failed", "error": OURS, "output": []}}
    ]


@pytest.mark.parametrize("failed", [{}, {"response": None}, {"response": "x"}])
def test_a_failure_without_a_response_gets_one(failed):
    stream = make()
    run([CREATED], stream)
    with pytest.raises(UpstreamFailed):
        run([{"type": "response.failed", **failed}], stream)
    assert stream.fail(OURS)[-1]["response"]["error"] == OURS


def test_items_without_places_come_one_after_the_other():
    items = [{"type": "function_call", "id": f"fc_{number}", "call_id": f"c{number}"} for number in range(3)]
    told = run([*({"type": "response.output_item.done", "item": item} for item in items), COMPLETED])
    assert told[-1]["response"]["output"] == items


def test_a_limit_bears_places_that_are_none():
    stream = ResponsesStream(model="m", verbatim=False, max_tokens=1)
    told = run([{**DELTA, "content_index": {"odd": []}, "delta": "one two three"}], stream)
    assert told[-1]["type"] == "response.incomplete"


# -- any answer -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(answers())
def test_any_answer_goes_on_in_order_and_whole(answer):
    events = number(answer.events)
    told = run(events)
    assert [event["type"] for event in told] == [event["type"] for event in events]
    assert told[:-1] == events[:-1]
    assert run(events) == told
    ended = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    output = told[-1]["response"]["output"]
    if not events[-1]["response"]["output"]:
        assert sorted(map(str, output)) == sorted(map(str, ended))
    collector = ResponseCollector()
    collector.receive_events(told)
    assert collector.document == told[-1]["response"]


@settings(deadline=None, max_examples=150)
@given(answers())
def test_the_codex_cli_gets_any_answer_as_it_is(answer):
    events = [{**event, "sequence_number": index * 3} for index, event in enumerate(answer.events)]
    assert run(events, make(verbatim=True))[:-1] == events[:-1]


@pytest.mark.parametrize("verbatim", [True, False])
@pytest.mark.parametrize("delta", [7, None, {"text": "Hi"}, ["Hi"]])
def test_a_delta_that_is_no_text_never_reaches_the_client(verbatim, delta):
    stream = make(verbatim=verbatim)
    run(PLAIN[:3], stream)
    with pytest.raises(StreamBroken, match="not text"):
        run([{**PLAIN[3], "delta": delta}], stream)
