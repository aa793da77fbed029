"""Operator's application: API, console, health and metrics on one port of their own.

That port is for operators, Prometheus and orchestrators; it should not face the internet. Routes that
another package owns (sessions, for backends) are handed in and come first.
"""

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dashboards.account_page import AccountPage
from dashboards.act_pages import ActPages
from dashboards.board import Board
from dashboards.bypass_api import bypass_routes
from dashboards.bypass_page import BypassPage
from dashboards.codes_api import codes_routes
from dashboards.codes_page import CodesPage
from dashboards.compare_page import ComparePage
from dashboards.control import ControlPage
from dashboards.entrance import Entrance, Recognising
from dashboards.events import Events
from dashboards.events_api import EventsApi
from dashboards.guest_api import guest_routes
from dashboards.guest_page import GuestPage
from dashboards.history_page import HistoryPage
from dashboards.history_web import Histories, HistoryWeb
from dashboards.journal_page import JournalPage
from dashboards.operator_api import OperatorApi, resource
from dashboards.page import Pages
from dashboards.people_page import PeoplePage
from dashboards.ports import ConfiguredLooks, Deps
from dashboards.provider_door import ProviderDoor
from dashboards.release_api import release_route
from dashboards.sampling import Sampler
from dashboards.stock_api import stock_route
from dashboards.targets_api import TargetsApi
from dashboards.targets_page import TargetsPage
from dashboards.welcome import Welcome
from kernel.errors import Misconfigured, Refused
from kernel.problems import Handler, handlers


def create_app(deps: Deps, sampler: Sampler | None = None) -> Starlette:
    """Put the operator's side together. Whoever brings a `sampler` starts and stops it."""
    hidden = [] if deps.access is not None else ["/people", "/account"]
    hidden += [] if deps.outgoing is not None else ["/journal", "/targets"]
    hidden += [] if deps.history is not None else ["/history", "/compare"]
    hidden += [] if deps.guests is not None else ["guests"]
    hidden += [] if deps.bypassing is not None else ["bypass"]
    hidden += [] if deps.codes is not None else ["codes"]
    pages = Pages(hidden, deps.waiting_page)
    if sampler is None:
        looks = ConfiguredLooks(deps.configurations, deps.figures)
        sampler = Sampler(looks, deps.configurations, deps.clock)
    board = Board(deps, sampler, pages)
    entrance = Entrance(deps, pages)

    told: list[Route] = []
    if deps.history is not None:
        histories = Histories(deps, deps.history)
        told += HistoryWeb(deps, histories, entrance).routes()
        told += HistoryPage(deps, histories, pages, entrance).routes()
        told += ComparePage(histories, pages, entrance).routes()

    async def live(_request: Request) -> Response:
        """GET /health/live: this process answers."""
        return _health({"status": "live"})

    async def ready(_request: Request) -> Response:
        """GET /health/ready: it has what it needs to do its work; otherwise 503 and what is wrong."""
        faults = list(await deps.ready())
        if faults:
            return _health({"status": "not-ready", "faults": faults}, 503)
        return _health({"status": "ready"})

    async def metrics(_request: Request) -> Response:
        """GET /metrics."""
        kind, text = deps.metrics()
        return Response(text, headers={"content-type": kind, "cache-control": "no-store"})

    books, known = deps.access, []
    if books is not None:
        known += Welcome(deps, books, pages, entrance).routes()
        known += AccountPage(deps, books, pages, entrance).routes()
        known += PeoplePage(deps, books, pages, entrance).routes()
        if deps.identity is not None:
            known += ProviderDoor(deps, books, deps.identity, entrance).routes()
    if (outgoing := deps.outgoing) is not None:
        known += JournalPage(deps, outgoing, pages, entrance).routes()
        known += TargetsPage(outgoing, pages, entrance).routes()

    return Starlette(
        routes=[
            *deps.extra_routes,
            stock_route(deps),
            *told,
            *([release_route(deps, deps.let_go)] if deps.let_go is not None else []),
            *(guest_routes(deps, deps.guests) if deps.guests is not None else []),
            *(bypass_routes(deps, deps.bypassing) if deps.bypassing is not None else []),
            *(codes_routes(deps, deps.codes) if deps.codes is not None else []),
            Mount("/api", OperatorApi(deps).app(_of_journal(deps))),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", metrics),
            *entrance.routes(),
            *known,
            *(GuestPage(deps, deps.guests, pages, entrance).routes() if deps.guests is not None else []),
            *(
                BypassPage(deps, deps.bypassing, pages, entrance).routes()
                if deps.bypassing is not None
                else []
            ),
            *(CodesPage(deps, deps.codes, pages, entrance).routes() if deps.codes is not None else []),
            *ActPages(deps, pages, entrance).routes(),
            *ControlPage(deps, pages, entrance, board).routes(),
            *Events(entrance, board).routes(),
            resource("/static/{name}", GET=pages.static),
        ],
        middleware=[Middleware(Recognising, entrance)],
        exception_handlers={**handlers(), Misconfigured: _faults(handlers()[Refused])},
    )


def _of_journal(deps: Deps) -> list[Route]:
    """Return the addresses below /api that read the journal, where there is one."""
    if deps.outgoing is None:
        return []
    events, targets = EventsApi(deps.outgoing, deps.clock), TargetsApi(deps.outgoing.targets)
    return [resource("/events", GET=events.events), *targets.routes()]


def _faults(handle: Handler) -> Handler:
    """Turn faults of a document into one problem that lists them all."""

    def handle_faults(request: Request, error: Exception) -> Response:
        faults = error.faults if isinstance(error, Misconfigured) else ()
        told = "The settings have faults." if len(faults) != 1 else f"The settings have a fault: {faults[0]}."
        return handle(request, Refused("settings-invalid", told, 422, faults=faults))

    return handle_faults


def _health(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, {"cache-control": "no-store"}, "application/json")
