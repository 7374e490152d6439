"""The table of fates against the SDK's own types: whatever the SDK can send at the top has a row."""

from typing import get_args, get_type_hints

import pytest
from openai.types.responses import response_compact_params, response_create_params, tool_param
from openai.types.responses.response_text_config_param import ResponseTextConfigParam
from openai.types.shared_params import Reasoning
from typing_extensions import is_typeddict

from codexd.translation.reading.fates import Fate
from codexd.translation.responses.fates import ITEMS, TABLES, TOOLS

REQUESTS = [
    response_create_params.ResponseCreateParamsNonStreaming,
    response_create_params.ResponseCreateParamsStreaming,
    response_compact_params.ResponseCompactParams,
]
TABLES_OF = {
    "reasoning": Reasoning,
    "text": ResponseTextConfigParam,
    "stream_options": response_create_params.StreamOptions,
}


def typed_dicts(hint):
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in typed_dicts(inner)]


def kinds_of(typed):
    """The values of its ``type``."""

    def literals(hint):
        return [hint] if isinstance(hint, str) else [found for inner in get_args(hint) for found in literals(inner)]

    return literals(get_type_hints(typed).get("type"))


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda found: found.__name__)
def test_every_field_of_the_sdks_request_has_a_row(request_type):
    assert set(get_type_hints(request_type)) <= set(TABLES["request"].shapes[""].fields)


@pytest.mark.parametrize("table", TABLES_OF)
def test_every_field_of_the_sdks_parts_has_a_row(table):
    assert set(get_type_hints(TABLES_OF[table])) <= set(TABLES[table].shapes[""].fields)


def test_every_field_of_a_tool_that_is_rewritten_has_a_row():
    rewritten = 0
    for typed in typed_dicts(tool_param.ToolParam):
        for kind in kinds_of(typed):
            shape = TABLES["tool"].find(kind)
            if shape is None or shape.rule.fate is Fate.REFUSED:
                continue
            rewritten += 1
            assert set(get_type_hints(typed)) - {"type"} <= set(shape.fields), kind
    assert rewritten >= 5


def test_every_kind_that_has_a_row_is_one_of_the_sdks():
    items = get_type_hints(response_create_params.ResponseCreateParamsNonStreaming)["input"]
    kinds = {kind for typed in typed_dicts(items) for kind in kinds_of(typed)}
    assert set(ITEMS) - {""} <= kinds
    tools = {kind for typed in typed_dicts(tool_param.ToolParam) for kind in kinds_of(typed)}
    assert all(any(TABLES["tool"].find(kind) is TOOLS[row] for kind in tools) for row in TOOLS)


def test_every_lossy_row_has_a_reason():
    for table in TABLES.values():
        for shape in table.shapes.values():
            for rule in (shape.rule, *shape.fields.values(), shape.other):
                assert rule.reason or rule.fate is Fate.CARRIED
                assert not rule.inside or rule.inside in TABLES
