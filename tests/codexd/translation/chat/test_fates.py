"""The tables of fates against the SDK's own types: whatever the SDK can send has a row."""

import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params
from support.bodies import CLOSED, PDF, TAG, check_accepted
from support.chat_bodies import PNG_URL, ask, assistant, image, losses_of, read, text, tool, tool_call, user
from support.sdk_types import WORDS, Requests, Walk

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.chat.fates import TABLES
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.fates import Fate
from codexd.translation.reading.losses import LossKind
from codexd.translation.tokens import count_body

REQUESTS = [
    completion_create_params.CompletionCreateParamsNonStreaming,
    completion_create_params.CompletionCreateParamsStreaming,
]


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda found: found.__name__)
def test_every_field_of_the_sdk_has_a_row(request_type):
    assert list(Walk(TABLES).find_gaps(request_type)) == []


def test_every_lossy_row_has_a_reason():
    for table in TABLES.values():
        for shape in table.shapes.values():
            for rule in (shape.rule, *shape.fields.values()):
                assert rule.reason or rule.fate is Fate.CARRIED
                assert not rule.inside or rule.inside in TABLES


DROPPED, APPROXIMATED, COSMETIC = LossKind.DROPPED, LossKind.APPROXIMATED, LossKind.COSMETIC
MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("body", "losses"),
    [
        (ask(), {}),
        (
            ask(temperature=0.2, seed=1, top_k=3, foo=1, store=True, moderation={"model": "m"}, logit_bias={"1": 2}),
            dict.fromkeys(["temperature", "seed", "top_k", "foo", "store", "moderation", "logit_bias"], DROPPED),
        ),
        (
            ask(user="me", metadata={}, safety_identifier="x", prompt_cache_retention="24h", prompt_cache_options={}),
            dict.fromkeys(
                ["user", "metadata", "safety_identifier", "prompt_cache_retention", "prompt_cache_options"], COSMETIC
            ),
        ),
        (ask(service_tier="flex"), {"service_tier": DROPPED}),
        (ask(fast_mode="yes"), {"fast_mode": DROPPED}),
        (ask(prediction={"type": "content", "content": "x"}), {"prediction": COSMETIC}),
        (
            ask(stream_options={"include_usage": True, "include_obfuscation": False, "new": 1}),
            {"stream_options.include_obfuscation": COSMETIC, "stream_options.new": DROPPED},
        ),
        (
            ask({**user([{"type": "text", "text": "x", **MARK}]), "name": "Ann"}),
            {"messages[0].name": DROPPED, "messages[0].content[0].cache_control": COSMETIC},
        ),
        (
            ask(user([{**text("x"), "new": 1}, image(new=1)])),
            {
                "messages[0].content[0].new": DROPPED,
                "messages[0].content[1].image_url.new": DROPPED,
            },
        ),
        (
            ask(assistant("x", tool_call(), audio={"id": "a"}, annotations=[]), {**tool(), "name": "bash"}),
            {"messages[0].audio": DROPPED, "messages[0].annotations": COSMETIC, "messages[1].name": COSMETIC},
        ),
        (ask(assistant("x", reasoning_content="y"), user("z")), {"messages[0].reasoning_content": APPROXIMATED}),
        (ask(assistant([image()]), user("z")), {"messages[0].content[0]": APPROXIMATED}),
        (ask(tool("call_9")), {"messages[0]": APPROXIMATED}),
        (ask(reasoning={"max_tokens": 100}), {"reasoning.max_tokens": APPROXIMATED}),
        (
            ask(tools=[{"type": "function", "function": {"name": "a.b", "strict": True, "new": 1}}]),
            {
                "tools[0].function.name": LossKind.RENAMED,
                "tools[0].function.strict": APPROXIMATED,
                "tools[0].function.new": DROPPED,
            },
        ),
        (
            ask(response_format={"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {}}}),
            {"response_format.json_schema.strict": APPROXIMATED},
        ),
    ],
)
def test_losses(body, losses):
    assert losses_of(body) == losses


def test_a_second_translation_writes_nothing_twice():
    request = read(ask(seed=1, tools=[{"type": "function", "function": {"name": "a.b"}}]))
    for _ in range(2):
        request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
    assert [loss.path for loss in request.losses] == ["seed", "tools[0].function.name"]
    assert request.losses.reported == 1


# -- any request of the SDK's types -----------------------------------------------------------------

NAMES = st.sampled_from(["bash", "patch", "a.b", "x" * 70])
IDS = st.sampled_from(["c1", "c2", ""])
DATA = st.sampled_from([PDF, f"data:application/pdf;base64,{PDF}", "%"])
BY_NAME = {
    "name": NAMES,
    "id": IDS,
    "tool_call_id": IDS,
    "url": st.sampled_from([PNG_URL, "https://example.com/a.png"]),
    "file_data": DATA,
    "file_id": st.none(),
    "schema": st.sampled_from([CLOSED, {}, {"type": "object", "properties": {"a": {"type": "array"}}}]),
    "parameters": st.sampled_from([CLOSED, {}, {"type": "object", "anyOf": [CLOSED]}]),
    "arguments": st.sampled_from(["{}", "", "{bad"]),
    "n": st.none() | st.just(1),
    "logprobs": st.none() | st.just(False),
    "top_logprobs": st.none(),
    "audio": st.none(),
    "modalities": st.none() | st.just(["text"]),
    "functions": st.just([]),
}
SENT = Requests(BY_NAME, {"ChatCompletionContentPartInputAudioParam": {"type": st.just("text"), "input_audio": WORDS}})


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.one_of([SENT.of(found) for found in REQUESTS]), st.sampled_from(["gpt-5.5", "gpt-6.1-sol"]))
def test_any_request_of_the_sdk_is_accepted_upstream_or_refused_by_name(body, model):
    body = json.loads(dumps(body))
    try:
        body["messages"] = [*body["messages"], user("hi")]
        request = read(body)
        first, second = (request.to_backend(Target(BUILT_IN.describe(model), TAG)) for _ in range(2))
    except RequestInvalid as error:
        event(str(error)[:60])
        assert error.path
        return
    event("accepted")
    assert count_body(first) > 0
    check_accepted(first)
    assert dumps(first) == dumps(second)
