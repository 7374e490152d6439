"""What each fault does to the bytes of an answer."""

import json

import pytest

from codexd.simulator.damage import STRAY_MARK, EventDamage, Then, make_refusal, make_stray, make_token_reply
from codexd.simulator.events import encode
from codexd.simulator.faults import Fault, Kind
from codexd.simulator.scripts import parse_token_reply

NOW = 1_000.0
DELTAS = [encode({"type": "response.output_text.delta", "delta": text}) for text in ("one ", 'tw"o ', "three ")]
STREAM = [encode({"type": "response.created"}), *DELTAS, encode({"type": "response.completed"})]


def damage(kind, *, place=2, events=STREAM):
    """The types of the events that come out, the deltas, and how the answer goes on."""
    damaged = EventDamage(Fault(kind, place=place))
    out, then = b"", Then.GO_ON
    for event in events:
        if then is Then.GO_ON:
            changed, then = damaged.apply(event)
            out += changed
    return out, then


def deltas_of(out):
    datas = [frame.partition("data: ")[2] for frame in out.decode().split("\n\n") if "data: " in frame]
    return [json.loads(data)["delta"] for data in datas if '"delta"' in data and data.endswith("}")]


@pytest.mark.parametrize(
    ("kind", "deltas", "then"),
    [
        (Kind.EVENT_UNKNOWN, ["one ", 'tw"o ', "three "], Then.GO_ON),
        (Kind.EVENT_MALFORMED, ["one ", "three "], Then.GO_ON),
        (Kind.EVENT_SWAPPED, ["one ", "three ", 'tw"o '], Then.GO_ON),
        (Kind.EVENT_LOST, ["one ", "three "], Then.GO_ON),
        (Kind.EVENT_TWICE, ["one ", 'tw"o ', 'tw"o ', "three "], Then.GO_ON),
        (Kind.TYPE_FIELDS, ["one ", {"text": 7}, "three "], Then.GO_ON),
        (Kind.EVENT_FAILED, ["one ", 'tw"o '], Then.END),
        (Kind.EVENT_COMMENTS, ["one ", 'tw"o '], Then.COMMENTS),
        (Kind.EVENT_UNFINISHED, ["one ", 'tw"o ', "three "], Then.END),
        (Kind.GZIP, ["one ", 'tw"o ', "three "], Then.GO_ON),
    ],
)
def test_events_are_changed(kind, deltas, then):
    out, ends = damage(kind)
    assert deltas_of(out) == deltas
    assert ends is then


def test_the_last_delta_has_none_to_swap_with():
    out, _ = damage(Kind.EVENT_SWAPPED, place=3)
    assert deltas_of(out) == ["one ", 'tw"o ', "three "]


def test_a_place_after_the_end_changes_nothing():
    assert damage(Kind.EVENT_LOST, place=9) == (b"".join(STREAM), Then.GO_ON)


def test_several_events_in_one_part():
    out, then = damage(Kind.EVENT_LOST, events=[b"".join(STREAM)])
    assert (deltas_of(out), then) == (["one ", "three "], Then.GO_ON)


def test_what_is_no_whole_event_passes():
    assert (
        damage(Kind.EVENT_LOST, events=[b": keepalive\n\n", b"data: {", b"}\n\n"])[0] == b": keepalive\n\ndata: {}\n\n"
    )


@pytest.mark.parametrize("place", range(1, 10))
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(Kind.STATUS, 503), 503),
        (Fault(Kind.STATUS, 529), 529),
        (Fault(Kind.STATUS, 404), 404),
        (Fault(Kind.RETRY_AFTER, 3), 429),
        (Fault(Kind.LIMIT, 3), 429),
        (Fault(Kind.TYPE_HTML), 200),
        (Fault(Kind.TYPE_JSON), 200),
        (Fault(Kind.TOKEN_REJECTED), 401),
    ],
)
def test_a_refusal_takes_the_place_of_the_answer(fault, status, place):
    refusal = make_refusal(Fault(fault.kind, fault.value, place), NOW)
    assert refusal.status == status


def test_a_refusal_says_how_long_it_lasts():
    assert make_refusal(Fault(Kind.RETRY_AFTER, 3), NOW).headers == {"retry-after": "3"}
    limit = make_refusal(Fault(Kind.LIMIT, 3), NOW).body["error"]
    assert (limit["type"], limit["resets_at"], limit["resets_in_seconds"]) == ("usage_limit_reached", 1_003, 3)


def test_other_kinds_let_the_request_through():
    assert make_refusal(Fault(Kind.RESET_BODY), NOW) is None


@pytest.mark.parametrize("kind", [Kind.TOKEN_SHORT, Kind.TOKEN_REUSED, Kind.TOKEN_LOST, Kind.TOKEN_DOWN])
def test_replies_of_the_sign_in_server_are_scripts(kind):
    parse_token_reply(make_token_reply(Fault(kind, 503)))


def test_stray_bytes_are_recognisable():
    assert STRAY_MARK.encode() in make_stray(Fault(Kind.STRAY_ANSWER))
    assert STRAY_MARK.encode() in make_stray(Fault(Kind.STRAY_BYTES))
    assert make_stray(Fault(Kind.GZIP)) == make_stray(None) == b""
