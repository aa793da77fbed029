"""The API's description: every route of the operator's application stands in it, and every code that it promises."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from dashboards.api_documents import DOCUMENTS
from dashboards.api_table import ALWAYS, GUARDED, OPERATIONS, STATUS, Operation
from dashboards.openapi import document, document_of
from tests.dashboards.wired import process_of
from tests.house import reference
from tests.house.tree import ROOT

HOW = "add an Operation to dashboards/api_table.py (its documents to api_documents.py), then `make docs`"
LESS = "take its Operation out of dashboards/api_table.py, then `make docs`"


def operations(routes: Iterable[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Walk over the routes of an application: (method, path) of everything below /api."""
    for route in routes:
        if isinstance(route, Mount):
            yield from operations(route.routes, before + route.path)
        elif isinstance(route, Route) and (before + route.path).startswith("/api"):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, before + route.path


def faults_of(routes: Iterable[BaseRoute], table: Iterable[Operation]) -> list[str]:
    """Say what stands in one of the two only."""
    there, told = set(operations(routes)), {(one.method, one.path) for one in table}
    more = [f"{method} {path} is answered and not described: {HOW}" for method, path in sorted(there - told)]
    less = [f"{method} {path} is described and not answered: {LESS}" for method, path in sorted(told - there)]
    return more + less


@pytest.fixture
def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[BaseRoute]:
    """Give the routes of the operator's application as it is wired; nothing is connected."""
    process = process_of("redis://127.0.0.1:1/0", tmp_path, monkeypatch)
    return list(process.app.routes)  # type: ignore[attr-defined]


def test_every_route_is_described_and_every_description_answered(routes: list[BaseRoute]) -> None:
    """Both ways, for the application as it runs."""
    assert faults_of(routes, OPERATIONS) == []


def test_a_route_without_an_entry_and_an_entry_without_a_route_are_found(routes: list[BaseRoute]) -> None:
    """The mutants: one route more, one entry less; the fault says what to do."""

    async def more(_request: object) -> Response:
        return Response()

    one_more = [*routes, Mount("/api", routes=[Route("/turbo", more, methods=["POST"])])]

    assert faults_of(one_more, OPERATIONS) == [f"POST /api/turbo is answered and not described: {HOW}"]
    gone = Operation("GET", "/api/gone", "Nothing", "Rooms")
    assert faults_of(routes, [*OPERATIONS, gone]) == [f"GET /api/gone is described and not answered: {LESS}"]


def test_every_code_of_the_table_is_one_that_the_code_tells() -> None:
    """With the status that it has there; none is listed that no operation names."""
    known = reference.raised() | {"not-found": {404}, "internal": {500}}
    used = {*ALWAYS, *GUARDED, *(code for one in OPERATIONS for code in one.codes)}

    assert [f"{code} {status}" for code, status in STATUS.items() if status not in known.get(code, ())] == []
    assert used ^ STATUS.keys() == set()


def test_every_document_is_used_and_every_reference_leads_somewhere() -> None:
    """A document that nobody takes or gives is a left-over."""
    text = json.dumps(document())

    assert {name for name in DOCUMENTS if f'"#/components/schemas/{name}"' not in text} == set()
    identifiers = [one["operationId"] for path in document()["paths"].values() for one in path.values()]
    assert len(identifiers) == len(set(identifiers)) == len(OPERATIONS)


def test_an_unknown_document_or_code_is_refused_at_once() -> None:
    """An entry with a mistake in it makes no description."""
    with pytest.raises(KeyError, match="no-such-code"):
        document_of([Operation("GET", "/api/x", "x", "Rooms", codes=("no-such-code",))])
    with pytest.raises(KeyError, match="NoSuch"):
        document_of([Operation("POST", "/api/x", "x", "Rooms", asks="NoSuch")])


def test_the_file_is_what_is_served() -> None:
    """docs/openapi.json and GET /api/openapi.json are one document."""
    assert json.loads((ROOT / "docs/openapi.json").read_text("utf-8")) == document()
