"""What the model says it found where: citations on text, and the entries of a search result.

Source: anthropic-translation.md 2.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from codexd.translation.backend import count_of, text_of

_MAX_CITED_CHARS = 150


@frozen
class Citation:
    """A web page that a part of the text rests on; ``start`` and ``end`` in characters of its content part."""

    url: str
    title: str
    start: int
    end: int

    def to_delta(self, text: str) -> dict[str, Any]:
        """The ``citations_delta``; ``text`` is that of the content part."""
        location = {
            "type": "web_search_result_location",
            "url": self.url,
            "title": self.title or None,
            "cited_text": text[self.start : self.end][:_MAX_CITED_CHARS],
            "encrypted_index": "",
        }
        return {"type": "citations_delta", "citation": location}


def read_citation(annotation: Mapping[str, Any]) -> Citation | None:
    """The citation in an annotation; None for other kinds and for one without an address."""
    url = text_of(annotation.get("url"))
    if annotation.get("type") != "url_citation" or not url:
        return None
    start, end = count_of(annotation.get("start_index")), count_of(annotation.get("end_index"))
    return Citation(url, text_of(annotation.get("title")), start, end)


def to_results(pages: Iterable[tuple[str, str]], blocked_domains: tuple[str, ...]) -> list[dict[str, Any]]:
    """The ``web_search_result`` entries for pages of (address, title), each address once.

    The backend can search only in given domains, so what the client blocked is left out here.
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
    """Subdomains of a blocked domain are blocked too; ``example.com/blog`` blocks what is under it."""
    host, path = _split(url)
    for blocked in blocked_domains:
        domain, _, folder = blocked.rstrip("/").partition("/")
        domain = domain.lower()
        if (host == domain or host.endswith(f".{domain}")) and f"{path}/".startswith(f"/{folder}/" if folder else "/"):
            return True
    return False


def _split(url: str) -> tuple[str, str]:
    """Host and path, both empty for what is no address."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.path
    except ValueError:
        return "", ""
