"""Answers that clients refer to, and requests that refer to them."""

import sys
import threading

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import TAG
from support.responses_bodies import call, message, output, read, reasoning, sdk

from codexd.errors import RequestInvalid
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.responses.memory import MAX_AGE_S, AnswerMemory, Conversation

NOW = 1_795_000_000.0
HI, AGAIN = message("user", "hi"), message("user", "again")
SAID = message("assistant", "hello", id="msg_1")
THOUGHT = reasoning("rs_1")
CALLED = call(id="fc_1")


def conversation(number=1, *items, session="s", size=2000):
    """A conversation of ``size`` bytes, if its items are not larger."""
    made = Conversation.of(f"resp_{number}", session, list(items or (SAID,)))
    return evolve(made, text=made.text + b" " * (size - made.size_bytes))


def find_item(answers, item_id, *, now):
    holder = answers.find_holder(item_id, now=now)
    return holder and next(item for item in holder.items if item.get("id") == item_id)


def answer(answers, body, *items, response_id="resp_1", now=NOW):
    """Let codexd answer ``body`` with ``items``; the body for the backend."""
    request = read(body, answers=answers, now=now)
    target = Target(BUILT_IN.describe(request.model), TAG)
    sent = request.to_backend(target)
    stream = request.open_stream(sent, target, "req_1")
    ending = {"id": response_id, "status": "completed", "output": list(items)}
    stream.receive_event({"type": "response.completed", "response": ending}, now=now)
    return sent, {loss.path: loss.kind.value for loss in request.losses}


def refer(*ids):
    return [{"type": "item_reference", "id": item_id} for item_id in ids]


# -- the memory -------------------------------------------------------------------------------------


def test_what_was_remembered_is_found():
    answers = AnswerMemory()
    answers.remember(conversation(1, HI, SAID), now=NOW)
    assert find_item(answers, "msg_1", now=NOW) == SAID
    assert answers.find_conversation("resp_1", now=NOW).items == [HI, SAID]
    assert find_item(answers, "msg_2", now=NOW) is None
    for unknown in ("resp_2", None, 3, {}):
        assert answers.find_conversation(unknown, now=NOW) is None


def test_it_is_forgotten_after_a_day():
    answers = AnswerMemory()
    answers.remember(conversation(), now=NOW)
    assert find_item(answers, "msg_1", now=NOW + MAX_AGE_S) is not None
    assert find_item(answers, "msg_1", now=NOW + MAX_AGE_S + 1) is None
    assert answers.find_conversation("resp_1", now=NOW + MAX_AGE_S + 1) is None
    answers.remember(conversation(2, AGAIN, size=3000), now=NOW + MAX_AGE_S + 1)
    assert answers.size_bytes == 3000


def test_the_oldest_goes_when_there_is_no_room():
    answers = AnswerMemory(max_bytes=5000)
    for number in (1, 2, 3):
        answers.remember(conversation(number, {**SAID, "id": f"msg_{number}"}, session=f"s{number}"), now=NOW)
    assert find_item(answers, "msg_1", now=NOW) is None
    assert find_item(answers, "msg_2", now=NOW) is not None
    answers.remember(conversation(4, size=5001), now=NOW)
    assert answers.find_conversation("resp_4", now=NOW) is None
    assert find_item(answers, "msg_3", now=NOW) is not None


def test_a_session_takes_room_from_itself_first_and_keeps_its_last_conversation():
    answers = AnswerMemory(max_session_bytes=3000)
    answers.remember(conversation(1, session="other"), now=NOW)
    answers.remember(conversation(2), now=NOW)
    answers.remember(conversation(3, size=9000), now=NOW)
    assert answers.find_conversation("resp_1", now=NOW) is not None
    assert answers.find_conversation("resp_2", now=NOW) is None
    assert answers.find_conversation("resp_3", now=NOW) is not None
    assert find_item(answers, "msg_1", now=NOW) is not None


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.integers(0, 9000), st.integers(0, 30)), max_size=20)
)
def test_it_stays_within_its_bounds_and_consistent(told):
    answers = AnswerMemory(max_bytes=10000, max_session_bytes=6000, max_age_s=50)
    now = 0.0
    for number, session, size, pause in told:
        now += pause
        answers.remember(conversation(number, {"id": f"msg_{number}"}, session=session, size=size), now=now)
        assert answers.size_bytes <= 10000
        found = find_item(answers, f"msg_{number}", now=now)
        assert (found is None) == (answers.find_conversation(f"resp_{number}", now=now) is None)
    assert find_item(answers, "msg_0", now=now + 51) is None
    last = conversation(9, {"id": "msg_9"}, size=0)
    answers.remember(last, now=now + 51)
    assert answers.size_bytes == last.size_bytes


# -- references -------------------------------------------------------------------------------------


def test_a_reference_becomes_the_item():
    answers = AnswerMemory()
    answer(answers, sdk([HI]), THOUGHT, SAID)
    sent, lost = answer(answers, sdk([HI, *refer("rs_1", "msg_1"), AGAIN]), response_id="resp_2")
    assert sent["input"] == [HI, THOUGHT, SAID, AGAIN]
    assert lost == {}


def test_a_call_is_named_and_its_result_follows():
    answers = AnswerMemory()
    answer(answers, sdk([HI]), THOUGHT, CALLED)
    sent, _ = answer(answers, sdk([HI, *refer("rs_1"), {"id": "fc_1"}, output()]))
    assert sent["input"] == [HI, THOUGHT, CALLED, output()]


def test_one_item_is_sent_once():
    answers = AnswerMemory()
    answer(answers, sdk([HI]), SAID)
    sent, _ = answer(answers, sdk([HI, *refer("msg_1", "msg_1"), AGAIN]))
    assert sent["input"] == [HI, SAID, AGAIN]
    sent, _ = answer(answers, sdk([HI, SAID, *refer("msg_1"), AGAIN]))
    assert sent["input"] == [HI, SAID, AGAIN]


def test_references_outlast_the_first_answer():
    """What a request refers to is part of its own conversation."""
    answers = AnswerMemory(max_session_bytes=1)
    answer(answers, sdk([HI]), SAID)
    answer(answers, sdk([HI, *refer("msg_1"), AGAIN]), {**SAID, "id": "msg_2"}, response_id="resp_2")
    sent, _ = answer(answers, sdk([HI, *refer("msg_1"), AGAIN, *refer("msg_2"), HI]))
    assert [item.get("id") for item in sent["input"]] == [None, "msg_1", None, "msg_2", None]


def test_unknown_reasoning_is_left_out():
    sent, lost = answer(AnswerMemory(), sdk([HI, *refer("rs_9"), AGAIN]))
    assert sent["input"] == [HI, AGAIN]
    assert lost == {"input[1]": "approximated"}


@pytest.mark.parametrize("item_id", ["msg_9", "fc_9", "ws_9", "x"])
def test_unknown_words_are_refused_with_what_to_set(item_id):
    with pytest.raises(RequestInvalid, match=f"Item with id '{item_id}' not found.*\"store\": false") as refused:
        read(sdk([HI, *refer(item_id)]))
    assert refused.value.path == "input[1].id"


def test_nothing_is_remembered_for_a_client_that_asks_for_that():
    answers = AnswerMemory()
    answer(answers, sdk([HI], store=False), SAID)
    assert answers.size_bytes == 0


def test_reasoning_of_another_account_stays_out():
    answers = AnswerMemory()
    answer(answers, sdk([HI]), THOUGHT, SAID)
    request = read(sdk([HI, *refer("rs_1", "msg_1"), AGAIN]), answers=answers, now=NOW)
    target = Target(BUILT_IN.describe("gpt-5.5"), TAG, keep_reasoning=False)
    assert request.to_backend(target)["input"] == [HI, SAID, AGAIN]


# -- a previous response ----------------------------------------------------------------------------


def test_a_conversation_goes_on_from_a_previous_response():
    answers = AnswerMemory()
    first, _ = answer(answers, sdk("hi"), THOUGHT, SAID)
    second, lost = answer(
        answers, sdk("again", previous_response_id="resp_1"), {**SAID, "id": "msg_2"}, response_id="resp_2"
    )
    assert second["input"] == [HI, THOUGHT, SAID, AGAIN]
    assert second["prompt_cache_key"] == first["prompt_cache_key"]
    assert lost == {}
    third, _ = answer(answers, sdk([HI], previous_response_id="resp_2"), response_id="resp_3")
    assert third["input"] == [HI, THOUGHT, SAID, AGAIN, {**SAID, "id": "msg_2"}, HI]
    branch, _ = answer(answers, sdk([HI], previous_response_id="resp_1"))
    assert branch["input"] == [HI, THOUGHT, SAID, HI]


def test_the_answer_repeats_the_previous_response():
    answers = AnswerMemory()
    answer(answers, sdk("hi"), SAID)
    request = read(sdk("again", previous_response_id="resp_1"), answers=answers, now=NOW)
    target = Target(BUILT_IN.describe("gpt-5.5"), TAG)
    stream = request.open_stream(request.to_backend(target), target, "req_1")
    ending = {"id": "resp_2", "model": "gpt-5.5", "status": "completed", "output": [], "previous_response_id": None}
    [told] = stream.receive_event({"type": "response.completed", "response": ending}, now=NOW)
    assert told["response"]["previous_response_id"] == "resp_1"


def test_an_unknown_previous_response_is_refused():
    with pytest.raises(RequestInvalid, match="Previous response with id 'resp_9' not found") as refused:
        read(sdk("again", previous_response_id="resp_9"))
    assert refused.value.path == "previous_response_id"


def test_a_response_that_is_named_needs_no_new_input():
    answers = AnswerMemory()
    answer(answers, sdk([HI]), SAID)
    sent, _ = answer(answers, {"model": "gpt-5.5", "previous_response_id": "resp_1"}, response_id="resp_2")
    assert sent["input"] == [HI, SAID]


def test_threads_look_for_items_while_answers_are_remembered():
    answers = AnswerMemory(max_bytes=20_000, max_age_s=3)
    ended_well, ended, now = [], threading.Event(), [0.0]

    def look():
        while not ended.is_set():
            find_item(answers, "msg_1", now=now[0])
        ended_well.append(True)

    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=look) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for number in range(3000):
            now[0] += 0.1
            answers.remember(conversation(number, {"id": f"msg_{number % 9}"}), now=now[0])
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(usual_s)
    assert ended_well == [True, True]
