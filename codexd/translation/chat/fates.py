"""What becomes of every field of a Chat Completions request; ``translation.fates`` walks it.

Source: anthropic-translation.md 6.1 and 6.2, and the SDK's types, which a test holds against the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from codexd.translation.messages import fates as anthropic
from codexd.translation.reading.fates import (
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

NO_AUDIO = "no Codex model hears or speaks"
NO_STORE = "codexd keeps no answers"
_CACHING = cosmetic("the backend caches by itself, under the key that codexd gives it")
_TRACKING = cosmetic("belongs to OpenAI's own service; the backend takes none")
_MARKS = {"cache_control": _CACHING, "prompt_cache_breakpoint": _CACHING}
_NAME = {"name": dropped("the backend's messages have no names"), **_MARKS}

REQUEST = plain(
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning_effort",
    "include_reasoning",
    messages=carried(inside="message"),
    tools=carried(inside="tool"),
    functions=carried(inside="function"),
    tool_choice=carried(inside="tool_choice"),
    function_call=carried(inside="named"),
    response_format=carried(inside="response_format"),
    reasoning=carried(inside="reasoning"),
    thinking=carried(inside="thinking"),
    verbosity=carried("where the model has it"),
    stream_options=carried(inside="stream_options"),
    web_search_options=carried(inside="web_search"),
    service_tier=dropped(
        "a ChatGPT plan has no other tier than priority", "priority", "fast", "auto", "default", "standard"
    ),
    fast_mode=carried("as service_tier priority, where the model offers it"),
    temperature=dropped(NO_SAMPLING, 1),
    top_p=dropped(NO_SAMPLING, 1),
    top_k=dropped(NO_SAMPLING),
    presence_penalty=dropped(NO_SAMPLING, 0),
    frequency_penalty=dropped(NO_SAMPLING, 0),
    logit_bias=dropped(NO_SAMPLING, {}),
    seed=dropped(NO_SAMPLING),
    logprobs=refused("is not supported: the backend gives no log probabilities", False),
    top_logprobs=refused("is not supported: the backend gives no log probabilities", 0),
    audio=refused(f"is not supported: {NO_AUDIO}"),
    modalities=carried("text"),
    prediction=cosmetic("makes an answer faster, not another one"),
    moderation=dropped("the backend gives no verdict on texts"),
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
        reasoning=carried("only in reasoning_details, which hold it encrypted"),
        reasoning_content=carried("only in reasoning_details, which hold it encrypted"),
        reasoning_details=carried("those of codexd"),
        annotations=cosmetic("marks where a text came from; the text itself stays"),
        images=dropped("the backend takes no images from the assistant"),
        audio=dropped(NO_AUDIO),
        **_NAME,
    ),
    "tool": plain("tool_call_id", content=carried(inside="part"), name=cosmetic("the call has it"), **_MARKS),
    "function": plain("name", content=carried(inside="part"), **_MARKS),
}

PARTS: Mapping[str, Shape] = {
    "text": plain("text", **_MARKS),
    "refusal": plain("refusal"),
    "image_url": plain(image_url=carried(inside="image_url"), **_MARKS),
    "file": plain(file=carried(inside="file"), **_MARKS),
    "input_audio": Shape(refused(f"is not supported: {NO_AUDIO}")),
    "image": anthropic.BLOCKS["image"],
    "document": anthropic.BLOCKS["document"],
}

_FUNCTION = {
    "name": CARRIED,
    "description": CARRIED,
    "parameters": CARRIED,
    "strict": carried("where the schema has what the backend's strict mode asks for"),
}
_SEARCH = plain("search_context_size", "filters", user_location=carried(inside="location"))

TABLES: Mapping[str, Table] = {
    "request": Table({"": REQUEST}),
    "message": Table(MESSAGES, by="role"),
    "part": Table(PARTS, unknown=dropped("unknown to codexd; a placeholder stands for it")),
    "image_url": Table({"": plain("url", "detail")}),
    "file": Table(
        {"": plain("file_data", "filename", file_id=refused("files live on OpenAI's servers; send file_data"))}
    ),
    "call": Table(
        {
            "": plain("id", function=carried(inside="called"), index=cosmetic("the order says it")),
            "function": plain("id", function=carried(inside="called"), index=cosmetic("the order says it")),
            "custom": plain("id", custom=carried(inside="custom_called"), index=cosmetic("the order says it")),
        }
    ),
    "called": Table({"": plain("name", "arguments")}),
    "custom_called": Table({"": plain("name", "input")}),
    "tool": Table(
        {
            "": plain(function=carried(inside="function"), **_FUNCTION, **_MARKS),
            "function": plain(function=carried(inside="function"), **_FUNCTION, **_MARKS),
            "custom": plain("name", "description", custom=carried(inside="custom"), format=carried(inside="format")),
            "web_search*": _SEARCH,
            "image_generation": plain(
                "output_format",
                "size",
                "quality",
                "background",
                "model",
                partial_images=dropped("a Chat answer has whole images only", 0),
            ),
        },
        unknown=refused("runs on OpenAI's servers and is not available through codexd"),
    ),
    "function": Table({"": Shape(CARRIED, _FUNCTION)}),
    "custom": Table({"": plain("name", "description", format=carried(inside="format"))}),
    "format": Table({"text": plain(), "grammar": plain("definition", "syntax", grammar=carried(inside="grammar"))}),
    "grammar": Table({"": plain("definition", "syntax")}),
    "web_search": Table({"": _SEARCH}),
    "location": Table({"": plain("city", "country", "region", "timezone", approximate=carried(inside="location"))}),
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
                max_tokens=approximated("as a level of effort"),
            )
        }
    ),
    "thinking": Table({"": plain(budget_tokens=approximated("as a level of effort"))}),
    "stream_options": Table(
        {"": plain("include_usage", include_obfuscation=cosmetic("padding against listeners, of which there are none"))}
    ),
    **{name: anthropic.TABLES[name] for name in ("block", "image_source", "document_source", "tool_change")},
}
