"""What the Codex backend reports about an account: its usage, and the models it may use.

codexd identifies itself, as in every request. The documents are described in ``codexd/upstream/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from codexd import bounds, jsontext
from codexd.accounts.catalogues import ETAG
from codexd.accounts.model import Account
from codexd.errors import UpstreamFailed
from codexd.settings.schema import UpstreamSettings
from codexd.translation.backend_errors import read_http_error
from codexd.translation.models.catalogue import is_entry
from codexd.upstream.codex import NAME
from codexd.upstream.http import Answer, fetch

TIMEOUT_S = 20.0


@frozen
class ModelList:
    """The entries of the catalogue, unchanged, and their ETag."""

    models: list[dict[str, Any]]
    etag: str | None


@frozen
class AccountEndpoint:
    """``settings`` returns the current settings, ``clock`` seconds since the epoch. The caller closes ``http``."""

    http: httpx.AsyncClient
    settings: Callable[[], UpstreamSettings]
    clock: Callable[[], float]

    async def fetch_usage(self, account: Account, token: str) -> dict[str, Any]:
        """The usage document, for ``limits.windows.parse_usage``.

        Raises:
            UpstreamError: the backend refused, or its answer is not usable.
        """
        under_chatgpt = "/backend-api" in urlsplit(self.settings().backend_url).path
        return _read_object(await self._get("/wham/usage" if under_chatgpt else "/api/codex/usage", account, token))

    async def fetch_models(self, account: Account, token: str, etag: str | None = None) -> ModelList | None:
        """The models for this account and ``client_version``: the backend may still refuse one of them.

        None if the list with this ``etag`` is still current.

        Raises:
            UpstreamError: the backend refused, or its answer is not usable.
        """
        query = {"client_version": self.settings().client_version}
        headers = {"if-none-match": etag} if etag else {}
        answer = await self._get("/codex/models", account, token, query, headers)
        if answer.status == 304:
            return None
        models = _read_object(answer).get("models")
        named = [model for model in models if is_entry(model)] if isinstance(models, list) else []
        if not named:
            raise UpstreamFailed("the backend sent an unreadable list of models", status=200)
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
        answer = await fetch(self.http, request, timeout_s=TIMEOUT_S, max_bytes=bounds.ANSWER_BYTES, name=NAME)
        is_unchanged = answer.status == 304 and "if-none-match" in request.headers
        if not 200 <= answer.status < 300 and not is_unchanged:
            raise read_http_error(answer.status, answer.headers, answer.body, self.clock())
        return answer


def _read_etag(headers: Mapping[str, str]) -> str | None:
    """The ETag, if it can be sent back in a header."""
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
