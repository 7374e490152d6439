"""A request's record as the control socket tells it."""

from __future__ import annotations

from codexd.api.records import RequestInfo, TokenCounts
from codexd.record.timeline import RequestRecord


def to_info(record: RequestRecord) -> RequestInfo:
    return RequestInfo(
        id=record.id,
        client=record.client,
        model=record.model,
        model_used=record.model_used,
        account=record.account,
        state=record.state,
        started_at=record.started_at,
        ttft_ms=record.ttft_ms,
        duration_ms=record.duration_ms,
        tokens=_count_tokens(record),
        status=record.status,
        error=record.error,
        losses=tuple(record.losses),
        path=record.path,
        session=record.session,
        account_reason=record.account_reason,
        retries=record.retries,
        stop_reason=record.stop_reason,
        upstream_status=record.upstream_status,
        upstream_request_id=record.upstream_request_id,
        longest_silence_ms=record.longest_silence_ms,
        error_kind=record.error_kind,
        told=record.told,
    )


def _count_tokens(record: RequestRecord) -> TokenCounts | None:
    usage, output = record.usage, record.output_tokens
    if usage is not None:
        return TokenCounts(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
    return TokenCounts(0, 0, output, 0, estimated=True) if output else None
