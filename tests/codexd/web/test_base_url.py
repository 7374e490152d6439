"""Paths that are almost right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.web.base_url import ANTHROPIC_PATHS, OPENAI_PATHS, SHARED_PATHS, advise, find_meant

ROUTES = (*ANTHROPIC_PATHS, *OPENAI_PATHS, *SHARED_PATHS)


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_is_found_behind_each_wrong_base_url(route):
    assert find_meant(route) is None
    for wrong in (route.removeprefix("/v1"), f"/v1{route}", f"{route}/", f"/{route}", f"/openai{route}", route.upper()):
        assert find_meant(wrong) == route


@pytest.mark.parametrize("route", [*ANTHROPIC_PATHS, *OPENAI_PATHS])
def test_a_route_as_the_base_url_is_recognized(route):
    for tail in (route, route.removeprefix("/v1")):
        assert find_meant(f"{route}{tail}") == route


@pytest.mark.parametrize(
    "path",
    ["/", "", "/v1", "/v1/", "/health", "/v1/embeddings", "/v1/models/models", "/v1/models/a/messages", "/nowhere"],
)
def test_other_paths_mean_nothing(path):
    assert find_meant(path) is None
    assert advise(path, "127.0.0.1:8081") == ""


def test_the_advice_names_the_base_url_of_the_clients_api():
    assert "to http://127.0.0.1:8081/v1; " in advise("/responses", "127.0.0.1:8081")
    assert "to http://localhost:1; " in advise("/v1/v1/messages", "localhost:1")
    assert "to http://localhost:1/v1, or to http://localhost:1 for" in advise("/models", "localhost:1")


@given(st.text(alphabet="/v1modelsrponcht", max_size=40))
def test_any_path_means_one_route_or_none(path):
    assert find_meant(path) in (None, *ROUTES)
