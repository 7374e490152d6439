"""Which models a client is listed and served."""

from __future__ import annotations

from typing import Any

import pytest
from support.simulator_bench import BODY, open_bench
from support.simulator_checks import (
    OWN,
    find_refusal,
    make_body,
)

from codexd.simulator.checks import check_body
from codexd.simulator.models import is_in_plan
from codexd.simulator.options import Options
from codexd.translation.models.catalogue import BUILT_IN


def test_a_listed_model_can_be_refused() -> None:
    status, body = find_refusal(make_body(), refused_models=frozenset({"gpt-5.5"}))
    assert (status, body["detail"]) == (
        400,
        "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account.",
    )


UPGRADE = (
    "The 'gpt-5.5' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again."
)


NOT_SUPPORTED = "The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, NOT_SUPPORTED),
        ({"version": "0.123.9"}, UPGRADE),
        ({"user-agent": "codexd/0.9.0"}, UPGRADE),
        ({"version": "0.124.0", "user-agent": "codexd/0.9.0"}, None),
        ({"user-agent": "codex_cli_rs/0.161.0"}, None),
    ],
)
def test_the_version_gate(headers: dict[str, str], text: str | None) -> None:
    options = Options(minimal_client_versions={"gpt-5.5": "0.124.0"})
    refusal = check_body(make_body(), account_id=OWN, options=options, headers=headers)
    assert (refusal and refusal.body) == (text and {"detail": text})


@pytest.mark.parametrize(("originator", "status"), [("codexd", 404), ("", 404), ("codex_cli_rs", None)])
def test_the_originator_gate(originator: str, status: int | None) -> None:
    options = Options(codex_originators_only=frozenset({"gpt-5.5"}))
    headers = {"originator": originator, "version": "0.171.0"}
    refusal = check_body(make_body(), account_id=OWN, options=options, headers=headers)
    assert (refusal.status if refusal else None) == status


async def test_the_catalogues_etag_stands_on_each_answer() -> None:
    async with open_bench() as bench:
        listed = await bench.http.get("/backend-api/codex/models?client_version=0.150.0", headers=bench.headers)
        headers = {**bench.headers, "version": "0.150.0"}
        answered = await bench.http.post("/backend-api/codex/responses", json=BODY, headers=headers)
        assert answered.headers["x-models-etag"] == listed.headers["etag"]


async def test_the_catalogue_is_filtered_by_version() -> None:
    async with open_bench() as bench:

        async def list_slugs(query: str) -> tuple[set[str], str]:
            response = await bench.http.get(f"/backend-api/codex/models{query}", headers=bench.headers)
            return {model["slug"] for model in response.json()["models"]}, response.headers["etag"]

        old, old_etag = await list_slugs("?client_version=0.152.0")
        new, new_etag = await list_slugs("?client_version=0.153.0")
        assert new - old == {"gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra"}
        assert (await list_slugs(""))[0] == set()
        assert old_etag != new_etag


@pytest.mark.parametrize(("model", "is_refused"), [("gpt-5.5", True), ("gpt-6.1-sol", False)])
def test_responses_lite_only_for_the_models_that_take_it(model: str, is_refused: bool) -> None:
    headers = {"version": "0.171.0", "x-openai-internal-codex-responses-lite": "true"}
    refusal = check_body(make_body(model=model), account_id=OWN, options=Options(), headers=headers)
    assert (refusal.body["error"]["code"] if refusal else None) == ("unsupported_value" if is_refused else None)


@pytest.mark.parametrize(
    ("plan", "model", "options", "included"),
    [
        ("plus", "gpt-6.2-sol", {}, True),
        ("free", "gpt-6.2-sol", {}, False),
        ("promax", "gpt-6-luna", {}, False),
        ("free", "gpt-6.2-sol", {"plan_models": {"free": frozenset({"gpt-6.2-sol"})}}, True),
        ("plus", "gpt-5.5", {"plan_models": {"plus": frozenset()}}, False),
    ],
)
def test_the_models_of_a_plan(plan: str, model: str, options: dict[str, Any], included: bool) -> None:
    assert is_in_plan(BUILT_IN.describe(model), plan, Options(**options)) is included
