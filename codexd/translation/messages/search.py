"""A web search by the backend, as the two blocks of a server tool: clients count the calls and list the results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from codexd import jsontext
from codexd.translation.backend import object_of, objects_of, text_of
from codexd.translation.messages.blocks import Block, Citation, TextBlock

_FAILED = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
_ILLEGAL_IN_ID = re.compile(r"[^A-Za-z0-9_]")


class SearchBlock(Block):
    """A ``web_search_call`` item: ``server_tool_use``, then ``web_search_tool_result``.

    Only searches make blocks. Opening a result, or looking for words in it, does not.

    Args:
        spare_id: used if the item has no id.
        blocked_domains: results in these domains are left out.
        waits: the result waits for the citations in the text (``fill``), because the backend's sources have no titles
            and are sometimes missing.
    """

    type = "web_search_call"

    def __init__(self, spare_id: str, blocked_domains: tuple[str, ...], *, waits: bool) -> None:
        super().__init__()
        self._id = spare_id
        self._blocked_domains = blocked_domains
        self._waits = waits
        self._pages: list[tuple[str, str]] = []

    def _complete(self, item: Mapping[str, Any]) -> None:
        action = object_of(item.get("action"))
        failed = item.get("status") == "failed"
        if action.get("type") != "search" and not (failed and not action):
            self._stop()
            return
        if not self.started:
            self._ask(text_of(item.get("id")), _read_query(action))
        sources = objects_of(action.get("sources"))
        self._pages = [(text_of(source.get("url")), text_of(source.get("title"))) for source in sources]
        if failed:
            self._answer(_FAILED)
        elif not self._waits:
            self._answer(to_results(self._pages, self._blocked_domains))

    def fill(self, citations: Iterable[Citation], titles: Mapping[str, str]) -> None:
        """Answer a waiting search with its sources and their ``titles`` by URL, or else with ``citations``."""
        if self.started and not self.stopped:
            named = [(url, title or titles.get(url, "")) for url, title in self._pages]
            pages = named or [(citation.url, citation.title) for citation in citations]
            self._answer(to_results(pages, self._blocked_domains))

    def cut(self) -> None:
        self.fill((), {})
        self._stop()

    def _ask(self, item_id: str, query: str) -> None:
        self._id = f"srvtoolu_{_ILLEGAL_IN_ID.sub('_', item_id or self._id)}"
        self._start({"type": "server_tool_use", "id": self._id, "name": "web_search", "input": {}})
        self._delta({"type": "input_json_delta", "partial_json": jsontext.dumps_text({"query": query})})
        self._made.append({"type": "content_block_stop", "index": 0})

    def _answer(self, content: Any) -> None:
        block = {"type": "web_search_tool_result", "tool_use_id": self._id, "content": content}
        self._made.append({"type": "content_block_start", "index": 0, "content_block": block})
        self._stop()


def _read_query(action: Mapping[str, Any]) -> str:
    queries = action.get("queries")
    texts = [text for text in queries if isinstance(text, str) and text] if isinstance(queries, list) else []
    return "; ".join(texts) or text_of(action.get("query"))


def fill_searches(blocks: Iterable[SearchBlock | TextBlock]) -> None:
    """Give each waiting search the citations in the text between it and the next search, and all titles."""
    search: SearchBlock | None = None
    cited: dict[SearchBlock, list[Citation]] = {}
    for block in blocks:
        if isinstance(block, SearchBlock):
            search = block
            cited[search] = []
        elif search is not None:
            cited[search] += block.citations
    titles = {citation.url: citation.title for citations in cited.values() for citation in citations}
    for search, citations in cited.items():
        search.fill(citations, titles)


def to_results(pages: Iterable[tuple[str, str]], blocked_domains: tuple[str, ...]) -> list[dict[str, Any]]:
    """The ``web_search_result`` entries for pages of (URL, title), each URL once.

    The backend can limit a search to some domains but can't exclude any, so blocked ones are left out here.
    """
    titles: dict[str, str] = {}
    for url, title in pages:
        if url and not _is_blocked(url, blocked_domains):
            titles[url] = titles.get(url) or title
    return [
        {
            "type": "web_search_result",
            "url": url,
            "title": title or _split(url)[0] or url,
            "encrypted_content": "",
            "page_age": None,
        }
        for url, title in titles.items()
    ]


def _is_blocked(url: str, blocked_domains: tuple[str, ...]) -> bool:
    """Subdomains of a blocked domain are blocked too; ``example.com/blog`` blocks only the pages under it."""
    host, path = _split(url)
    for blocked in blocked_domains:
        domain, _, folder = blocked.rstrip("/").partition("/")
        domain = domain.lower()
        if (host == domain or host.endswith(f".{domain}")) and f"{path}/".startswith(f"/{folder}/" if folder else "/"):
            return True
    return False


def _split(url: str) -> tuple[str, str]:
    """Host and path; both empty if ``url`` is not a URL."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.path
    except ValueError:
        return "", ""
