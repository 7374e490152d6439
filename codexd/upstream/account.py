"""What the Codex backend says about an account: its usage, and the models it may use.

We say who we are, as everywhere. The documents are described in ``codexd/upstream/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from codexd import jsontext
from codexd.accounts.catalogues import ETAG
from codexd.accounts.model import Account
from codexd.errors import UpstreamFailed
from codexd.settings.schema import UpstreamSettings
from codexd.translation.backend import read_http_error
from codexd.translation.models.catalogue import is_entry
from codexd.upstream.codex import NAME
from codexd.upstream.http import Answer, fetch

TIMEOUT_S = 20.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""The list of models, prompts included, is smaller than one megabyte."""


@frozen
class ModelList:
    """The entries of the catalogue as they came, and the ETag that names them."""

    models: list[dict[str, Any]]
    etag: str | None


@frozen
class AccountEndpoint:
    """``settings`` gives those that hold now, ``clock`` seconds since the epoch; ``http`` is the caller's to close."""

    http: httpx.AsyncClient
    settings: Callable[[], UpstreamSettings]
    clock: Callable[[], float]

    async def fetch_usage(self, account: Account, token: str) -> dict[str, Any]:
        """The usage document, as ``limits.parse_usage`` reads it.

        Raises:
            UpstreamError: the backend refused, or gave no usable answer.
        """
        under_chatgpt = "/backend-api" in urlsplit(self.settings().backend_url).path
        return _read_object(await self._get("/wham/usage" if under_chatgpt else "/api/codex/usage", account, token))

    async def fetch_models(self, account: Account, token: str, etag: str | None = None) -> ModelList | None:
        """The models for this account, at our ``client_version``: a filter, not a promise.

        None when they are still those that ``etag`` names.

        Raises:
            UpstreamError: the backend refused, or gave no usable answer.
        """
        query = {"client_version": self.settings().client_version}
        headers = {"if-none-match": etag} if etag else {}
        answer = await self._get("/codex/models", account, token, query, headers)
        if answer.status == 304:
            return None
        models = _read_object(answer).get("models")
        named = [model for model in models if is_entry(model)] if isinstance(models, list) else []
        if not named:
            raise UpstreamFailed("the backend sent a list of models that can't be read", status=200)
        return ModelList(named, _read_etag(answer.headers))

    async def _get(
        self,
        path: str,
        account: Account,
        token: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        request = self.http.build_request(
            "GET",
            f"{self.settings().backend_url.rstrip('/')}{path}",
            params=query,
            headers={
                **(headers or {}),
                "authorization": f"Bearer {token}",
                "chatgpt-account-id": account.chatgpt_account_id,
                "accept": "application/json",
                "version": self.settings().client_version,
            },
        )
        answer = await fetch(self.http, request, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES, name=NAME)
        is_unchanged = answer.status == 304 and "if-none-match" in request.headers
        if not 200 <= answer.status < 300 and not is_unchanged:
            raise read_http_error(answer.status, answer.headers, answer.body, self.clock())
        return answer


def _read_etag(headers: Mapping[str, str]) -> str | None:
    """One that can be sent back."""
    etag = headers.get("etag", "")
    return etag if ETAG.fullmatch(etag) else None


def _read_object(answer: Answer) -> dict[str, Any]:
    try:
        document = jsontext.loads_shallow(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UpstreamFailed(f"the backend answered {answer.path} with something that is not a JSON object", status=200)
    return document
