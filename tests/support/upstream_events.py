"""Events of the backend, shortened to what the translation reads."""


def added(index, **item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, **item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def text(delta, index=0):
    return {
        "type": "response.output_text.delta",
        "item_id": f"msg_{index}",
        "output_index": index,
        "content_index": 0,
        "delta": delta,
    }


def refusal(delta, index=0):
    return {**text(delta, index), "type": "response.refusal.delta"}


def arguments(delta, index=0):
    return {
        "type": "response.function_call_arguments.delta",
        "item_id": f"fc_{index}",
        "output_index": index,
        "delta": delta,
    }


def arguments_done(whole, index=0):
    return {
        "type": "response.function_call_arguments.done",
        "item_id": f"fc_{index}",
        "output_index": index,
        "arguments": whole,
    }


def summary(delta, part=0, index=0):
    return {
        "type": "response.reasoning_summary_text.delta",
        "item_id": f"rs_{index}",
        "output_index": index,
        "summary_index": part,
        "delta": delta,
    }


def summary_done(whole, part=0, index=0):
    return {
        "type": "response.reasoning_summary_text.done",
        "item_id": f"rs_{index}",
        "output_index": index,
        "summary_index": part,
        "text": whole,
    }


def call(index, arguments="", name="Bash"):
    return {
        "id": f"fc_{index}",
        "type": "function_call",
        "call_id": f"call_{index}",
        "name": name,
        "arguments": arguments,
    }


def custom_call(index, words="", name="patch"):
    return {
        "id": f"ctc_{index}",
        "type": "custom_tool_call",
        "call_id": f"call_{index}",
        "name": name,
        "input": words,
    }


def custom_input(delta, index=0):
    return {
        "type": "response.custom_tool_call_input.delta",
        "item_id": f"ctc_{index}",
        "output_index": index,
        "delta": delta,
    }


def message(index, *texts):
    return {
        "id": f"msg_{index}",
        "type": "message",
        "content": [{"type": "output_text", "text": text} for text in texts],
    }


def reasoning(index, *texts, enc="gAAAA"):
    return {
        "id": f"rs_{index}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in texts],
        "encrypted_content": enc,
    }


def end(kind="completed", **fields):
    return {"type": f"response.{kind}", "response": {"status": kind, "output": [], "usage": None, **fields}}


COMPLETED = end()
