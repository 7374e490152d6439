"""Claude Code's auto mode: which requests are checks of an action, and what becomes of them."""

from __future__ import annotations

import pytest
from support import upstream_events as upstream
from support.bodies import make, text

from codexd.jsontext import dumps
from codexd.translation.client_api import Client, Purpose, Target
from codexd.translation.messages.auto_mode import has_verdict
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN

CLOSING = "Your ENTIRE response MUST begin with <block>."
GRADING = "Respond with <severity>N</severity>."


def transcript(closing=CLOSING):
    return [text("<transcript>\n"), text('{"Bash":"rm x"}\n'), text("</transcript>\n"), text(closing)]


def check(**fields):
    return make([{"role": "user", "content": transcript()}], **fields)


TOOL = {"name": "Bash", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("body", "client", "purpose"),
    [
        pytest.param(check(), Client.CLAUDE_CODE, Purpose.AUTO_MODE_CHECK, id="block"),
        pytest.param(
            make(messages=[{"role": "user", "content": transcript(GRADING)}]),
            Client.CLAUDE_CODE,
            Purpose.AUTO_MODE_CHECK,
            id="severity",
        ),
        pytest.param(
            make(messages=[{"role": "user", "content": [part]} for part in transcript()]),
            Client.CLAUDE_CODE,
            Purpose.AUTO_MODE_CHECK,
            id="a-message-for-each-part",
        ),
        pytest.param(check(), Client.OTHER, Purpose.TURN, id="another-client"),
        pytest.param(check(tools=[TOOL]), Client.CLAUDE_CODE, Purpose.TURN, id="with-tools"),
        pytest.param(make(), Client.CLAUDE_CODE, Purpose.TURN, id="an-ordinary-turn"),
        pytest.param(
            make(messages=[{"role": "user", "content": "What does <transcript> and <block> mean?"}]),
            Client.CLAUDE_CODE,
            Purpose.TURN,
            id="a-question-about-it",
        ),
        pytest.param(
            make(messages=[{"role": "user", "content": transcript("What is this?")}]),
            Client.CLAUDE_CODE,
            Purpose.TURN,
            id="no-verdict-is-asked-for",
        ),
    ],
)
def test_what_a_request_is_for(body, client, purpose):
    assert parse(dumps(body), {}, client).purpose is purpose


@pytest.mark.parametrize(
    ("answer", "is_verdict"),
    [
        ("<block>no</block>", True),
        ("<block>no", True),
        ("<thinking>hm</thinking><block>yes</block><reason>[X] y</reason>", True),
        ("<severity>12</severity>", True),
        ("< severity >7", True),
        ("", False),
        ("Looks harmless to me.", False),
        ("<block>maybe</block>", False),
        ("<severity>low</severity>", False),
    ],
)
def test_verdicts(answer, is_verdict):
    assert has_verdict(answer) is is_verdict


@pytest.mark.parametrize(
    ("fields", "answer", "stop_reason"),
    [
        pytest.param({}, "<block>no</block>", "end_turn", id="verdict"),
        pytest.param({"stop_sequences": ["</block>"]}, "<block>no</block>", "stop_sequence", id="cut-verdict"),
        pytest.param({}, "I think it is fine.", "refusal", id="no-verdict"),
        pytest.param({"max_tokens": 4}, "I think that this is fine because of x.", "refusal", id="cut-before-any"),
    ],
)
def test_an_answer_without_a_verdict_is_a_refusal_which_claude_code_does_not_ask_for_again(fields, answer, stop_reason):
    request = parse(dumps(check(**fields)), {}, Client.CLAUDE_CODE)
    target = Target(BUILT_IN.describe("gpt-5.5"))
    stream = request.open_stream(request.to_backend(target), target, "req_1")
    for word in answer.split(" "):
        stream.receive_event(upstream.text(f"{word} "), now=0.0)
    stream.receive_event({"type": "response.completed", "response": {"status": "completed"}}, now=0.0)
    assert stream.stop_reason == stop_reason


def test_a_check_does_not_share_the_cache_key_of_its_conversation():
    session = {"x-claude-code-session-id": "s-1"}
    turn, asked = parse(dumps(make()), session, Client.CLAUDE_CODE), parse(dumps(check()), session, Client.CLAUDE_CODE)
    assert turn.session_key != asked.session_key
