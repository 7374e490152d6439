"""Web searches that the backend made, and citations on the text."""

import pytest
from support.answers import NOW, blocks_of, check_grammar, make_stream, run
from support.upstream_events import COMPLETED, added, done, end, message, text

from codexd.translation.messages.collect import MessageCollector
from codexd.translation.messages.search import to_results

A, B = "https://a.example/1", "https://www.b.example/2"
UNAVAILABLE = {"type": "web_search_tool_result_error", "error_code": "unavailable"}


def search(index, *urls, query="bonn weather", status="completed", **action):
    sources = [{"type": "url", "url": url} for url in urls]
    whole = {"type": "search", "query": query, "sources": sources, **action}
    return {"id": f"ws_{index}", "type": "web_search_call", "status": status, "action": whole}


def opened(index, kind="open_page", **action):
    return {
        "id": f"ws_{index}",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": kind, "url": A, **action},
    }


def result(url, title):
    return {"type": "web_search_result", "url": url, "title": title, "encrypted_content": "", "page_age": None}


def cites(url, start=0, end=5, title="A page", index=9):
    annotation = {"type": "url_citation", "start_index": start, "end_index": end, "url": url, "title": title}
    place = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0, "annotation_index": 0}
    return {"type": "response.output_text.annotation.added", **place, "annotation": annotation}


def part_done(event, whole, index=9):
    part = {"type": "output_text", "text": whole, "annotations": [event["annotation"]]}
    return {"type": "response.content_part.done", "item_id": f"msg_{index}", "content_index": 0, "part": part}


ASKED = 'web_search({"query":"bonn weather"})'
RESULT_A = [result(A, "a.example")]
SUNNY = [text("Sunny today", 9), done(9, **message(9, "Sunny today"))]


@pytest.mark.parametrize(
    ("events", "blocks", "searches"),
    [
        pytest.param(
            [
                added(0, id="ws_0", type="web_search_call", status="in_progress"),
                done(0, **search(0, A)),
                done(1, **opened(0, url="")),
                *SUNNY,
                COMPLETED,
            ],
            [ASKED, RESULT_A, "Sunny today"],
            1,
            id="search",
        ),
        pytest.param(
            [done(0, **search(0, A)), done(1, **search(1, B, query="köln")), *SUNNY, COMPLETED],
            [ASKED, RESULT_A, 'web_search({"query":"köln"})', [result(B, "www.b.example")], "Sunny today"],
            2,
            id="two-searches",
        ),
        pytest.param(
            [done(0, **search(0, A)), end(output=[search(0, A), message(9, "Sunny")])],
            [ASKED, RESULT_A, "Sunny"],
            1,
            id="again-in-the-output",
        ),
        pytest.param([end(output=[search(0, A)])], [ASKED, RESULT_A], 1, id="only-in-the-output"),
        pytest.param(
            [done(0, **search(0, A, queries=["x", "", None, "y"])), COMPLETED],
            ['web_search({"query":"x; y"})', RESULT_A],
            1,
            id="several-queries",
        ),
        pytest.param([done(0, **search(0, A, A)), COMPLETED], [ASKED, RESULT_A], 1, id="source-twice"),
        pytest.param([done(0, **search(0)), COMPLETED], [ASKED, []], 1, id="no-sources"),
        pytest.param([done(0, **search(0, A, status="failed")), COMPLETED], [ASKED, UNAVAILABLE], 1, id="failed"),
        pytest.param(
            [done(0, id="ws_0", type="web_search_call", status="failed"), COMPLETED],
            ['web_search({"query":""})', UNAVAILABLE],
            1,
            id="failed-without-words",
        ),
        pytest.param(
            [done(0, **opened(0)), done(1, **opened(1, "find_in_page")), *SUNNY, COMPLETED],
            ["Sunny today"],
            None,
            id="pages-opened",
        ),
        pytest.param(
            [added(0, id="ws_0", type="web_search_call"), *SUNNY, COMPLETED], ["Sunny today"], None, id="never-done"
        ),
        pytest.param(
            [added(0, id="ws_0", type="web_search_call"), text("Sunny", 9), done(0, **search(0, A)), COMPLETED],
            [ASKED, RESULT_A, "Sunny"],
            1,
            id="text-waits-for-the-search",
        ),
    ],
)
def test_searches(events, blocks, searches):
    made = run(events)
    check_grammar(made)
    assert blocks_of(made) == blocks
    assert made[-2]["delta"]["stop_reason"] == "end_turn"
    usage = {"web_search_requests": searches, "web_fetch_requests": 0} if searches else None
    assert made[-2]["usage"].get("server_tool_use") == usage


def test_the_pair_as_it_goes_out():
    made = run([done(0, **search(0, A)), COMPLETED])[1:-2]
    use = {"type": "server_tool_use", "id": "srvtoolu_ws_0", "name": "web_search", "input": {}}
    answer = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_ws_0", "content": RESULT_A}
    query = {"type": "input_json_delta", "partial_json": '{"query":"bonn weather"}'}
    assert made == [
        {"type": "content_block_start", "index": 0, "content_block": use},
        {"type": "content_block_delta", "index": 0, "delta": query},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": answer},
        {"type": "content_block_stop", "index": 1},
    ]


@pytest.mark.parametrize(
    ("item_id", "expected"), [("ws-1.x", "srvtoolu_ws_1_x"), (None, "srvtoolu_msg_1_0")], ids=["illegal", "none"]
)
def test_ids_are_legal(item_id, expected):
    assert run([done(0, **{**search(0), "id": item_id})])[1]["content_block"]["id"] == expected


@pytest.mark.parametrize(
    ("events", "blocks"),
    [
        pytest.param(
            [done(0, **search(0)), *SUNNY[:1], cites(B), cites(A, 6, 11, ""), cites(B, 6, 11), *SUNNY[1:], COMPLETED],
            [ASKED, [result(B, "A page"), result(A, "a.example")], "Sunny today"],
            id="citations",
        ),
        pytest.param([done(0, **search(0)), *SUNNY, COMPLETED], [ASKED, [], "Sunny today"], id="none"),
        pytest.param(
            [
                done(0, **search(0)),
                *[text("First", 1), cites(A, index=1), done(1, **message(1, "First"))],
                done(2, **search(2)),
                *SUNNY[:1],
                cites(B),
                COMPLETED,
            ],
            [ASKED, [result(A, "A page")], "First", ASKED, [result(B, "A page")], "Sunny today"],
            id="each-search-has-the-text-after-it",
        ),
        pytest.param(
            [done(0, **search(0, A)), *SUNNY[:1], cites(B), COMPLETED], [ASKED, RESULT_A, "Sunny today"], id="sources"
        ),
        pytest.param(
            [done(0, **search(0)), *SUNNY[:1], cites(B), end(output=[search(0, A)])],
            [ASKED, RESULT_A, "Sunny today"],
            id="sources-at-the-end",
        ),
    ],
)
def test_a_search_alone_is_filled_from_citations(events, blocks):
    made = run(events, web_search_only=True)
    check_grammar(made)
    assert blocks_of(made) == blocks


def test_the_text_waits_for_a_search_to_be_filled():
    stream = make_stream(web_search_only=True)
    first = stream.receive_event(done(0, **search(0)), now=NOW)
    assert blocks_of(first) == [ASKED]
    assert stream.receive_event(text("Sunny", 9), now=NOW) == []


def citations_of(made):
    return [event["delta"]["citation"] for event in made if event.get("delta", {}).get("type") == "citations_delta"]


LOCATION = {"type": "web_search_result_location", "url": A, "title": "A page", "encrypted_index": ""}
CITED = cites(A)


@pytest.mark.parametrize(
    ("events", "citations"),
    [
        pytest.param(
            [*SUNNY[:1], CITED, CITED, part_done(CITED, "Sunny today"), *SUNNY[1:]],
            [{**LOCATION, "cited_text": "Sunny"}],
            id="citation-twice",
        ),
        pytest.param(
            [*SUNNY[:1], part_done(CITED, "Sunny today")], [{**LOCATION, "cited_text": "Sunny"}], id="part-only"
        ),
        pytest.param([part_done(CITED, "Sunny today")], [{**LOCATION, "cited_text": "Sunny"}], id="no-deltas"),
        pytest.param([CITED, *SUNNY], [{**LOCATION, "cited_text": "Sunny"}], id="before-the-text"),
        pytest.param(
            [*SUNNY[:1], cites(A, 6, 99), *SUNNY[1:]], [{**LOCATION, "cited_text": "today"}], id="past-the-text"
        ),
        pytest.param([text("x" * 300, 9), cites(A, 0, 200)], [{**LOCATION, "cited_text": "x" * 150}], id="at-most-150"),
        pytest.param([CITED], [], id="no-text"),
        pytest.param([*SUNNY[:1], cites("")], [], id="no-address"),
        pytest.param(
            [*SUNNY[:1], cites(A, title=None)], [{**LOCATION, "title": A, "cited_text": "Sunny"}], id="no-title"
        ),
    ],
)
def test_citations(events, citations):
    made = run([done(0, **search(0, A)), *events, COMPLETED])
    check_grammar(made)
    assert citations_of(made) == citations


def test_a_citation_without_a_search_quotes_nothing():
    assert citations_of(run([*SUNNY[:1], CITED, COMPLETED])) == [{**LOCATION, "cited_text": ""}]


def test_a_search_in_a_whole_message():
    stream, collector = make_stream(), MessageCollector()
    for event in [done(0, **search(0, A)), *SUNNY[:1], CITED, *SUNNY[1:], COMPLETED]:
        collector.receive_events(stream.receive_event(event, now=NOW))
    message = collector.document
    assert message["content"] == [
        {"type": "server_tool_use", "id": "srvtoolu_ws_0", "name": "web_search", "input": {"query": "bonn weather"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_ws_0", "content": RESULT_A},
        {"type": "text", "text": "Sunny today", "citations": [{**LOCATION, "cited_text": "Sunny"}]},
    ]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


@pytest.mark.parametrize(
    ("url", "blocked", "told"),
    [
        ("https://example.com/a", (), True),
        ("https://example.com/a", ("example.com",), False),
        ("https://EXAMPLE.com:443/a", ("Example.com",), False),
        ("https://docs.example.com/a", ("example.com",), False),
        ("https://notexample.com/a", ("example.com",), True),
        ("https://example.com/blog/1", ("example.com/blog",), False),
        ("https://example.com/blog", ("example.com/blog/",), False),
        ("https://example.com/blogger", ("example.com/blog",), True),
        ("https://[/", ("example.com",), True),
        ("", (), False),
    ],
)
def test_blocked_domains(url, blocked, told):
    assert bool(to_results([(url, "t")], blocked)) is told
    made = run([done(0, **search(0, url)), COMPLETED], blocked_domains=blocked, web_search_only=True)
    assert bool(blocks_of(made)[1]) is told


def test_a_search_alone_names_its_sources_by_the_citations_on_the_text():
    made = run(
        [
            done(0, **search(0, A, B)),
            done(1, **search(1, B)),
            text("Sunny today", 9),
            cites(B, title="Weather"),
            COMPLETED,
        ],
        web_search_only=True,
    )
    results = [event["content_block"]["content"] for event in made if event.get("content_block", {}).get("content")]
    assert results == [[result(A, "a.example"), result(B, "Weather")], [result(B, "Weather")]]
