"""Any JSON as a schema, in each place of each API that has one: the backend accepts what is made of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import chat_bodies, responses_bodies
from support.bodies import TAG, make
from support.responses_bodies import find_refusal, message, sdk
from support.schemas import ANY_SCHEMA

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.client_api import Target
from codexd.translation.kilo.request import to_chat
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.losses import Losses
from codexd.translation.reading.schema import to_parameters

few = settings(deadline=None, max_examples=300)
READERS = {
    "messages": lambda body: parse(dumps(body), {}),
    "chat": chat_bodies.read,
    "responses": responses_bodies.read,
}


def answer(schema):
    return {"type": "json_schema", "name": "a", "strict": True, "schema": schema}


def function(schema, **fields):
    return {"type": "function", "name": "f", "parameters": {} if schema is None else schema, **fields}


PLACES = {
    "messages tools[0].input_schema": lambda s: make(tools=[{"name": "f", "input_schema": s, "strict": True}]),
    "messages output_config.format.schema": lambda s: make(output_config={"format": answer(s)}),
    "messages output_format.schema": lambda s: make(output_format=answer(s)),
    "chat tools[0].function.parameters": lambda s: chat_bodies.ask(
        tools=[chat_bodies.function(parameters=s, strict=True)]
    ),
    "chat functions[0].parameters": lambda s: chat_bodies.ask(functions=[{"name": "f", "parameters": s}]),
    "chat response_format.json_schema.schema": lambda s: chat_bodies.ask(
        response_format={"type": "json_schema", "json_schema": answer(s)}
    ),
    "responses tools[0].parameters": lambda s: sdk(tools=[function(s, strict=True)]),
    "responses tools[0].function.parameters": lambda s: sdk(tools=[{"type": "function", "function": function(s)}]),
    "responses tools[0].tools[0].parameters": lambda s: sdk(
        tools=[{"type": "namespace", "name": "n", "tools": [function(s)]}]
    ),
    "responses tools[1].parameters": lambda s: sdk(
        tools=[{"type": "web_search"}, {"type": "tool_search", "execution": "client", "parameters": s}]
    ),
    "responses input[1].tools[0].parameters": lambda s: sdk(
        [message("user", "hi"), {"type": "additional_tools", "tools": [function(s)]}]
    ),
    "responses text.format.schema": lambda s: sdk(text={"format": answer(s)}),
    "responses response_format.json_schema.schema": lambda s: sdk(
        response_format={"type": "json_schema", "json_schema": answer(s)}
    ),
    "responses response_format.schema": lambda s: sdk(response_format=answer(s)),
}
"""The place of a schema, as errors and the ledger name it, and a body with a schema there."""


def translate(place, schema):
    """The body for the backend, and the path of each loss."""
    request = READERS[place.partition(" ")[0]](PLACES[place](schema))
    body = request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
    return body, {loss.path: loss.kind.value for loss in request.losses}


@settings(deadline=None, max_examples=600)
@given(st.sampled_from(sorted(PLACES)), ANY_SCHEMA)
def test_any_schema_anywhere_is_accepted_upstream(place, schema):
    try:
        body, _ = translate(place, schema)
    except RequestInvalid as error:
        assert error.path == place.partition(" ")[2]
        assert "format" in error.path
        return
    refusal = find_refusal(body)
    # Where the client sends null, the backend itself says that the schema is missing.
    assert refusal is None or (schema is None and place.startswith("responses"))


@few
@given(ANY_SCHEMA)
def test_kilo_gets_the_repaired_schema(schema):
    body, _ = translate("messages tools[0].input_schema", schema)
    chat = to_chat(body, "minimax/minimax-m2.5:free", Losses())
    assert chat["tools"][0]["function"]["parameters"] == to_parameters(schema)


BAD = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!x)"}}}


@pytest.mark.parametrize("place", PLACES)
def test_what_a_pattern_said_is_in_the_description_and_in_the_ledger(place):
    body, losses = translate(place, BAD)
    sent = dumps(body).decode()
    assert '"pattern"' not in sent
    assert "Must match the regular expression ^(?!x)." in sent
    assert losses[f"{place.partition(' ')[2]}.properties.a.pattern"] == "approximated"


FINE = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x", "format": "email"}}}


@pytest.mark.parametrize("place", PLACES)
def test_a_schema_that_was_fine_is_the_same_bytes(place):
    body, losses = translate(place, FINE)
    assert dumps(FINE) in dumps(body)
    assert not [path for path in losses if path.startswith(place.partition(" ")[2])]
