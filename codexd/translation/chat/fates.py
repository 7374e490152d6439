"""What happens to every field of a Chat Completions request. A test compares the tables with OpenAI's SDK."""

from __future__ import annotations

from collections.abc import Mapping

from codexd.translation.messages import fates as anthropic
from codexd.translation.reading import openai_parts
from codexd.translation.reading.fates import (
    APPROXIMATE,
    CARRIED,
    NO_SAMPLING,
    Shape,
    Table,
    approximated,
    carried,
    cosmetic,
    dropped,
    plain,
    refused,
)

NO_AUDIO = "Codex models have no audio"
NO_STORE = "codexd keeps no answers"
_CACHING = cosmetic("the backend caches by itself, under a key that codexd gives it")
_TRACKING = cosmetic("belongs to OpenAI's API platform")
_INDEX = cosmetic("the order of the calls shows it")
_MARKS = {"cache_control": _CACHING, "prompt_cache_breakpoint": _CACHING}
_NAME = {"name": dropped("the backend's messages have no names"), **_MARKS}

REQUEST = plain(
    "model",
    "stream",
    "parallel_tool_calls",
    "include_reasoning",
    max_tokens=carried("applied by codexd to the visible text, because the backend accepts no limit"),
    max_completion_tokens=carried("applied by codexd to the visible text, because the backend accepts no limit"),
    stop=carried("applied by codexd to the visible text, because the backend accepts none"),
    n=carried("1 only"),
    prompt_cache_key=carried("as part of the key that codexd gives the backend"),
    reasoning_effort=carried("as the nearest lower level that the model offers"),
    messages=carried(inside="message"),
    tools=carried(inside="tool"),
    functions=carried(inside="function"),
    tool_choice=carried(inside="tool_choice"),
    function_call=carried(inside="named"),
    response_format=carried(inside="response_format"),
    reasoning=carried(inside="reasoning"),
    thinking=carried(inside="thinking"),
    verbosity=carried("if the model has the setting"),
    stream_options=carried(inside="stream_options"),
    web_search_options=carried(inside="web_search"),
    service_tier=dropped("a ChatGPT plan has only priority", "priority", "fast", "auto", "default", "standard"),
    fast_mode=dropped("only true and false are known", True, False),
    temperature=dropped(NO_SAMPLING, 1),
    top_p=dropped(NO_SAMPLING, 1),
    top_k=dropped(NO_SAMPLING),
    presence_penalty=dropped(NO_SAMPLING, 0),
    frequency_penalty=dropped(NO_SAMPLING, 0),
    logit_bias=dropped(NO_SAMPLING, {}),
    seed=dropped(NO_SAMPLING),
    logprobs=refused("is not supported: the backend has no log probabilities", False),
    top_logprobs=refused("is not supported: the backend has no log probabilities", 0),
    audio=refused(f"is not supported: {NO_AUDIO}"),
    modalities=carried("text only"),
    prediction=cosmetic("only makes an answer faster"),
    moderation=dropped("the backend does not report moderation results"),
    store=dropped(NO_STORE, False),
    user=_TRACKING,
    metadata=_TRACKING,
    safety_identifier=_TRACKING,
    prompt_cache_options=_CACHING,
    prompt_cache_retention=_CACHING,
)

MESSAGES: Mapping[str, Shape] = {
    "system": plain(content=carried(inside="part"), **_NAME),
    "developer": plain(content=carried(inside="part"), **_NAME),
    "user": plain(content=carried(inside="part"), **_NAME),
    "assistant": plain(
        "refusal",
        content=carried(inside="part"),
        tool_calls=carried(inside="call"),
        function_call=carried(inside="called"),
        reasoning=carried("only as part of reasoning_details, where it is encrypted"),
        reasoning_content=carried("only as part of reasoning_details, where it is encrypted"),
        reasoning_details=carried("only those that codexd wrote; left out if the account or model can't read them"),
        annotations=cosmetic("names the source of the text; the text itself stays"),
        images=dropped("the backend accepts no images from the assistant"),
        audio=dropped(NO_AUDIO),
        **_NAME,
    ),
    "tool": plain("tool_call_id", content=carried(inside="part"), name=cosmetic("the call already has it"), **_MARKS),
    "function": plain("name", content=carried(inside="part"), **_MARKS),
}

_BLOCKS = ("image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result")
PARTS: Mapping[str, Shape] = {**openai_parts.SHAPES, **{kind: anthropic.BLOCKS[kind] for kind in _BLOCKS}}

INPUT_SCHEMA = carried("as parameters, its name in this API")
_FUNCTION = {
    "name": CARRIED,
    "description": CARRIED,
    "parameters": CARRIED,
    "input_schema": INPUT_SCHEMA,
    "strict": carried("if the schema meets the backend's rules for strict mode"),
}
_SEARCH = plain("search_context_size", filters=carried(inside="filters"), user_location=carried(inside="location"))
_PLACE = plain("city", "country", "region", "timezone", approximate=carried(inside="location"))

TABLES: Mapping[str, Table] = {
    "request": Table({"": REQUEST}),
    "message": Table(MESSAGES, by="role"),
    "part": Table(PARTS, unknown=refused(openai_parts.NOT_SENT)),
    "call": Table(
        {
            "": plain("id", function=carried(inside="called"), index=_INDEX),
            "function": plain("id", function=carried(inside="called"), index=_INDEX),
            "custom": plain("id", custom=carried(inside="custom_called"), index=_INDEX),
        }
    ),
    "called": Table({"": plain("name", "arguments")}),
    "custom_called": Table({"": plain("name", "input")}),
    "tool": Table(
        {
            "": plain(function=carried(inside="function"), **_FUNCTION, **_MARKS),
            "function": plain(function=carried(inside="function"), **_FUNCTION, **_MARKS),
            "custom": plain(
                "name",
                "description",
                custom=carried(inside="custom"),
                format=carried(inside="format"),
                input_schema=INPUT_SCHEMA,
                cache_control=_MARKS["cache_control"],
            ),
            "web_search*": _SEARCH,
            "image_generation": plain(
                "output_format",
                "size",
                "quality",
                "background",
                "model",
                partial_images=dropped("a Chat Completions answer has no partial images", 0),
            ),
        },
        unknown=refused("runs on OpenAI's servers and is not available through codexd"),
    ),
    "function": Table({"": Shape(CARRIED, _FUNCTION)}),
    "custom": Table({"": plain("name", "description", format=carried(inside="format"))}),
    "format": Table({"text": plain(), "grammar": plain("definition", "syntax", grammar=carried(inside="grammar"))}),
    "grammar": Table({"": plain("definition", "syntax")}),
    "web_search": Table({"": _SEARCH}),
    "filters": Table({"": plain("allowed_domains")}),
    "location": Table({"": _PLACE, "approximate": _PLACE}, unknown=APPROXIMATE),
    "tool_choice": Table(
        {
            "function": plain("name", function=carried(inside="named")),
            "custom": plain("name", custom=carried(inside="named")),
            "allowed_tools": plain("mode", "tools", allowed_tools=carried(inside="allowed")),
            "web_search*": plain(),
            "image_generation": plain(),
        }
    ),
    "named": Table({"": plain("name")}),
    "allowed": Table({"": plain("mode", "tools")}),
    "response_format": Table(
        {"text": plain(), "json_object": plain(), "json_schema": plain(json_schema=carried(inside="json_schema"))}
    ),
    "json_schema": Table({"": plain("name", "schema", "strict", "description")}),
    "reasoning": Table(
        {
            "": plain(
                "effort",
                "summary",
                "enabled",
                "exclude",
                max_tokens=approximated("sent as an effort level"),
            )
        }
    ),
    "thinking": Table({"": plain(budget_tokens=approximated("sent as an effort level"))}),
    "stream_options": Table(
        {"": plain("include_usage", include_obfuscation=cosmetic("a local connection needs no padding"))}
    ),
    **{
        name: anthropic.TABLES[name]
        for name in ("block", "image_url", "file", "image_source", "document_source", "tool_change")
    },
}
