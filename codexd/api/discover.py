"""``rpc.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen
class OpenRpc:
    """An OpenRPC document (https://spec.open-rpc.org).

    Beyond it, the `x-event` of a method that begins a follow has the name and the params of its notifications.
    Errors with the code -32000 carry one of the listed kinds in `data.kind`.
    """

    openrpc: str
    info: Mapping[str, Any]
    methods: tuple[Mapping[str, Any], ...]
    components: Mapping[str, Any]
