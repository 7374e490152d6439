"""Chat requests and what they must become, in short words."""

from support.bodies import ACCOUNT, PNG, TAG

from codexd.jsontext import dumps
from codexd.simulator.prompts import seal_reasoning
from codexd.translation.chat.request import parse
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.reasoning import Reasoning, seal

PNG_URL = f"data:image/png;base64,{PNG}"


def ask(*messages, **fields):
    return {"model": "gpt-5.5", "messages": list(messages) or [user("hi")], **fields}


def read(body):
    return parse(dumps(body))


def translate(body, *, model="gpt-5.5", **options):
    return read(body).to_backend(Target(BUILT_IN.describe(model), **{"account_tag": TAG, **options}))


def input_of(*messages, **options):
    return translate(ask(*messages), **options)["input"]


def losses_of(body, **options):
    request = read(body)
    request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), **{"account_tag": TAG, **options}))
    return {loss.path: loss.kind for loss in request.losses}


def system(content):
    return {"role": "system", "content": content}


def user(content):
    return {"role": "user", "content": content}


def assistant(content=None, *calls, **fields):
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {}), **fields}


def tool_call(call_id="call_1", name="bash", arguments="{}"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def custom_call(call_id="call_1", name="patch", text="raw"):
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": text}}


def tool(call_id="call_1", content="done"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def text(words):
    return {"type": "text", "text": words}


def image(url=PNG_URL, **fields):
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def sealed(item_id="rs_1", model="gpt-5.5", tag=TAG):
    data = seal(Reasoning(item_id, seal_reasoning(ACCOUNT, item_id), model, tag))
    return {"index": 0, "type": "reasoning.encrypted", "id": item_id, "data": data}


def function(name="bash", **fields):
    return {"type": "function", "function": {"name": name, **fields}}
