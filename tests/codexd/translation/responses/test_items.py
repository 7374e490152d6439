"""Input items of Responses requests as the backend gets them."""

import pytest
from attrs import evolve
from support.bodies import PDF, PNG
from support.responses_bodies import (
    CODEX_HEADERS,
    CODEX_TURN,
    call,
    find_refusal,
    losses,
    message,
    output,
    read,
    reasoning,
    sdk,
    translate,
)

from codexd.errors import RequestInvalid
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.reasoning import ReasoningOwners

HI = [message("user", "hi")]


LONG_ID = "call_" + "x" * 150


@pytest.mark.parametrize(
    ("items", "sent", "lost"),
    [
        pytest.param(
            [{"role": "system", "content": "s"}, *HI, {"role": "assistant", "content": "a"}],
            [
                {"type": "message", "role": "developer", "content": "s"},
                *HI,
                {"type": "message", "role": "assistant", "content": "a"},
            ],
            {},
            id="system-role",
        ),
        pytest.param(
            [{**HI[0], "content": [{"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "x"}}]}],
            HI,
            {"input[0].content[0].prompt_cache_breakpoint": "cosmetic"},
            id="cache-marks",
        ),
        pytest.param(
            [*HI, call(id="msg_1"), output(id="x" * 400)],
            [*HI, call(), output()],
            {"input[1].id": "cosmetic", "input[2].id": "cosmetic"},
            id="invalid-ids",
        ),
        pytest.param(
            [message("user", "a", id="msg_1"), message("user", "b", id="msg_1")],
            [message("user", "a", id="msg_1"), message("user", "b")],
            {"input[1].id": "cosmetic"},
            id="twice-the-same-id",
        ),
        pytest.param(
            [*HI, {"type": "reasoning", "id": "rs_1", "summary": []}, *HI],
            [*HI, *HI],
            {"input[1]": "dropped"},
            id="reasoning-without-ciphertext",
        ),
        pytest.param(
            [*HI, call("c1"), call("c2"), output("c2"), *HI],
            [*HI, call("c1"), call("c2"), output("c2"), output("c1", "aborted"), *HI],
            {},
            id="unanswered-call",
        ),
        pytest.param(
            [*HI, output("c9", "old")],
            [
                *HI,
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Result of an earlier tool call (c9):"},
                        {"type": "input_text", "text": "old"},
                    ],
                },
            ],
            {"input[1]": "approximated"},
            id="orphan-output",
        ),
        pytest.param(
            [*HI, {"type": "local_shell_call", "call_id": "c1", "status": "completed", "action": {}}, output("c1")],
            [*HI, {"type": "local_shell_call", "call_id": "c1", "action": {}}, output("c1")],
            {"input[1].status": "cosmetic"},
            id="local-shell",
        ),
        pytest.param(
            [*HI, {"type": "future_item", "x": [1]}, {"type": "compaction", "encrypted_content": "gAAAA"}],
            [*HI, {"type": "future_item", "x": [1]}, {"type": "compaction", "encrypted_content": "gAAAA"}],
            {},
            id="unknown-items",
        ),
    ],
)
def test_what_an_sdk_sends_as_input_and_what_the_backend_gets(items, sent, lost):
    assert translate(sdk(items))["input"] == sent
    assert losses(sdk(items)) == lost


def test_long_call_ids_are_shortened_on_both_sides():
    items = translate(sdk([*HI, call(LONG_ID), output(LONG_ID)]))["input"]
    assert items[1]["call_id"] == items[2]["call_id"] != LONG_ID
    assert find_refusal(translate(sdk([*HI, call(LONG_ID), output(LONG_ID)]))) is None


def test_stale_reasoning_is_left_out_of_the_second_try():
    for body, headers in ((sdk([*HI, reasoning(), *HI]), {}), (CODEX_TURN, CODEX_HEADERS)):
        items = translate(body, headers, keep_reasoning=False)["input"]
        assert all(item["type"] != "reasoning" for item in items)
    assert losses(sdk([*HI, reasoning(), *HI]), keep_reasoning=False) == {"input[1]": "approximated"}


def test_reasoning_that_is_known_to_be_of_another_account_is_left_out_alone():
    owners = ReasoningOwners()
    target = Target(BUILT_IN.describe("gpt-5.5"), "mine")
    for item_id, tag in (("rs_1", "mine"), ("rs_2", "other")):
        stream = read(CODEX_TURN, CODEX_HEADERS, owners).open_stream({}, evolve(target, account_tag=tag), "req_1")
        done = {"type": "response.output_item.done", "output_index": 0, "item": reasoning(item_id)}
        stream.receive_event(done, now=0)
    items = [*HI, reasoning("rs_1"), reasoning("rs_2"), reasoning("rs_3"), *HI]
    for headers in (CODEX_HEADERS, {}):
        sent = read(sdk(items), headers, owners).to_backend(target)["input"]
        assert [item.get("id") for item in sent] == [None, "rs_1", "rs_3", None]


# -- images and files -------------------------------------------------------------------------------

URL = f"data:image/png;base64,{PNG}"
BROKEN_URL = URL[:100]
PAPER_URL = f"data:application/pdf;base64,{PDF}"


def with_part(part):
    return sdk([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look."}, part]}])


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        ({"type": "input_image", "image_url": URL, "detail": "low"}, URL, {}),
        ({"type": "input_image", "image_url": URL.replace("png", "jpeg")}, URL, {"image_url": "approximated"}),
        ({"type": "input_image", "image_url": URL.rstrip("=") + "\n"}, URL, {}),
        ({"type": "input_image", "image_url": "https://example.com/a.png"}, "https://example.com/a.png", {}),
        ({"type": "input_file", "file_data": PDF, "filename": "a.pdf"}, PAPER_URL, {}),
        ({"type": "input_file", "file_data": PAPER_URL, "filename": "a.pdf"}, PAPER_URL, {}),
    ],
)
def test_media_are_sent_in_the_form_that_the_backend_accepts(part, sent, lost):
    body = translate(with_part(part))
    field = "image_url" if part["type"] == "input_image" else "file_data"
    assert body["input"][0]["content"][1] == {**part, field: sent}
    assert find_refusal(body) is None
    assert losses(with_part(part)) == {f"input[0].content[1].{name}": kind for name, kind in lost.items()}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "input_image", "image_url": BROKEN_URL}, "image_url: is broken or cut off"),
        ({"type": "input_image", "image_url": "data:image/png;base64,"}, "image_url: must not be empty"),
        ({"type": "input_image", "image_url": "data:image/png;base64,%"}, "image_url: is not base64"),
        ({"type": "input_image", "image_url": "http://example.com/a.png"}, "image_url: must be a base64 data URL or"),
        ({"type": "input_file", "file_data": "UEs=", "filename": "a"}, "file_data: is not a PDF"),
    ],
)
def test_media_that_no_model_could_read_are_refused_or_left_out_of_a_result(part, said):
    with pytest.raises(RequestInvalid) as error:
        translate(with_part(part))
    assert str(error.value).startswith(f"input[0].content[1].{said}")
    assert error.value.medium in ("image", "document")
    items = [*HI, call(), output(value=[{"type": "input_text", "text": "Here."}, part])]
    (here, left_out) = translate(sdk(items))["input"][2]["output"]
    assert here["text"] == "Here."
    assert " left out: the data " in left_out["text"]
    assert losses(sdk(items)) == {"input[2].output[1]": "dropped"}


def test_the_codex_cli_sends_its_media_as_they_are():
    items = [{"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": BROKEN_URL}]}]
    body = translate({**CODEX_TURN, "input": items}, headers=CODEX_HEADERS)
    assert body["input"][0]["content"] == items[0]["content"]


@pytest.mark.parametrize("headers", [{}, CODEX_HEADERS])
def test_an_image_that_the_backend_refuses_is_found_again(headers):
    image = {"type": "input_image", "image_url": URL}
    items = [*HI, call(), output(value=[{"type": "input_text", "text": "Here."}, image])]
    request = read(sdk(items), headers=headers)
    sent = request.to_backend(Target(BUILT_IN.describe("gpt-5.5")))["input"][2]["output"][1]
    assert request.locate(sent) == "input[2].output[1]"
    assert request.locate({}) is None
