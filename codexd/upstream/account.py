"""What the Codex backend tells of an account: its usage, and the models it may use.

Source: codex-backend.md sections 5.3 and 5.5. We say who we are, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio
from attrs import frozen

from codexd.accounts.model import Account
from codexd.errors import UpstreamFailed, UpstreamTimeout
from codexd.settings import UpstreamSettings
from codexd.translation import jsontext
from codexd.translation.responses import read_http_error

TIMEOUT_S = 20.0


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

        None: they are still those that ``etag`` names.

        Raises:
            UpstreamError: the backend refused, or gave no usable answer.
        """
        query = {"client_version": self.settings().client_version}
        headers = {"if-none-match": etag} if etag else {}
        response = await self._get("/codex/models", account, token, query, headers)
        if response.status_code == 304:
            return None
        models = _read_object(response).get("models")
        if not isinstance(models, list):
            raise UpstreamFailed("the backend sent a list of models that can't be read", status=200)
        return ModelList([model for model in models if isinstance(model, dict)], response.headers.get("etag"))

    async def _get(
        self,
        path: str,
        account: Account,
        token: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
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
        response = await self._send(request)
        is_known = response.status_code == 304 and "if-none-match" in request.headers
        if not response.is_success and not is_known:
            raise read_http_error(response.status_code, response.headers, response.content, self.clock())
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        try:
            with trio.fail_after(TIMEOUT_S):
                return await self.http.send(request)
        except (trio.TooSlowError, httpx.TimeoutException):
            raise UpstreamTimeout(f"the backend at {host} did not answer {request.url.path} in time") from None
        except httpx.HTTPError as error:
            raise UpstreamFailed(f"the backend at {host} can't be reached: {type(error).__name__}") from None


def _read_object(response: httpx.Response) -> dict[str, Any]:
    try:
        document = jsontext.loads_shallow(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        path = response.request.url.path
        raise UpstreamFailed(f"the backend answered {path} with what is not a JSON object", status=200)
    return document
