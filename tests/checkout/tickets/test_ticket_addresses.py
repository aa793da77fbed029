"""The addresses of tickets: API, pages and the organiser's desk; every bad input has its answer and changes nothing."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pypdfium2
import pytest
import sqlalchemy as sa
import zxingcpp
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router

from checkout.holds.places import OnePlace
from checkout.organiser.importing import Importing
from checkout.organiser.reporting import Reporting
from checkout.organiser.service import Organising
from checkout.organiser.talking import PREFIX
from checkout.organiser.tickets_web import TicketsDesk
from checkout.organiser.web import OrganiserWeb
from checkout.site.render import Event, Visit
from checkout.site.ticket_pages import TicketPages
from checkout.site.web import routes_of, shape
from checkout.tables import TICKETS, TRANSFERS
from checkout.tickets.service import Shown, Tickets
from checkout.tickets.wallet import demo_signer
from checkout.tickets.web import TicketsWeb
from kernel.asgi import Receive, Scope, Send, header, respond
from kernel.errors import Refused
from kernel.problems import raw_problem
from tests.checkout.organisers import TOKEN, TOKENS
from tests.checkout.reservations import EVENT
from tests.checkout.site.test_pages import event
from tests.checkout.tickets.selling import LINKS, bought, tickets_at
from tests.checkout.tills import Shop, shop

CROSS = {"sec-fetch-site": "cross-site"}
NOBODY = "OAAAAAAAAAAA"
NO_TICKET = "0" * 32
SITE = "http://shop.example"


@dataclass
class Counter:
    """A sale with two tickets, and clients of all addresses."""

    own: Shop
    tickets: Tickets
    shown: list[Shown]
    page: httpx.AsyncClient
    api: httpx.AsyncClient
    desk: httpx.AsyncClient

    @property
    def path(self) -> str:
        """Give the address of the tickets."""
        return LINKS.tickets(EVENT, self.shown[0].ticket.order)

    @property
    def first(self) -> str:
        """Name the first ticket."""
        return self.shown[0].ticket.id

    def rows(self) -> list[object]:
        """Read everything that a request could have changed."""
        with self.own.scene.database.listing() as connection:
            return [
                sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
                for table in (TICKETS, TRANSFERS)
            ]


def pages_of(own: Shop, tickets: Tickets, *, can_be_given: bool) -> httpx.ASGITransport:
    """Serve the pages."""

    async def event_of(request: Request) -> Event:
        if request.path_params["event"] != EVENT:
            raise HTTPException(404)
        return event(id=EVENT, starts_ms=own.scene.clock.now_ms() + 86_400_000)

    def visit_of(_request: Request) -> Visit:
        return Visit("en", own.scene.clock.now_ms())

    def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return PlainTextResponse(error.code, error.status)

    signer = demo_signer(own.scene.clock.now_ms())
    pages = TicketPages(tickets, LINKS, own.scene.catalogue, SITE, signer, can_be_given=can_be_given)
    router = ExceptionMiddleware(
        Router(pages.routes(event_of, visit_of), redirect_slashes=False), {Refused: refused}
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await router({**scope, "app": pages}, receive, send)

    return httpx.ASGITransport(app=app)


def api_of(own: Shop, tickets: Tickets) -> httpx.ASGITransport:
    """Serve the API; a header says who asks."""

    def buyer_of(scope: Scope) -> str:
        return (header(scope, b"buyer") or b"ann").decode()

    web = TicketsWeb(tickets, LINKS, own.scene.catalogue, buyer_of, own.scene.metrics)
    routes = {(method, shape(act)): handler for (method, act), handler in routes_of(web).items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        parts = scope["path"].split("/")
        try:
            await routes["GET", "orders/*/tickets"](scope, receive, send, parts[3], parts[5])
        except Refused as reason:
            await respond(send, *raw_problem(reason))

    return httpx.ASGITransport(app=app)


def desk_of(own: Shop, tickets: Tickets) -> httpx.ASGITransport:
    """Serve the organiser's desk."""
    catalogue, places = own.scene.catalogue, OnePlace(own.scene.place)
    web = OrganiserWeb(
        catalogue,
        Importing(catalogue),
        Organising(catalogue, places),
        Reporting(catalogue, places, own.scene.clock),
        TOKENS,
        TicketsDesk(tickets, LINKS, catalogue).routes,
    )
    return httpx.ASGITransport(app=web)


@asynccontextmanager
async def counter(url: str, store_url: str, *, can_be_given: bool = True) -> AsyncIterator[Counter]:
    """Sell two tickets, and open all doors."""
    async with shop(url, store_url) as own:
        tickets = tickets_at(own)
        shown = await bought(own, tickets, 0, 1)
        bearer = {"authorization": f"Bearer {TOKEN}"}
        async with (
            httpx.AsyncClient(
                transport=pages_of(own, tickets, can_be_given=can_be_given), base_url=SITE
            ) as page,
            httpx.AsyncClient(transport=api_of(own, tickets), base_url=SITE) as api,
            httpx.AsyncClient(transport=desk_of(own, tickets), base_url=SITE, headers=bearer) as desk,
        ):
            yield Counter(own, tickets, shown, page, api, desk)


async def test_the_api_tells_a_buyer_their_tickets(shop_url: str, store_url: str) -> None:
    """With the codes, and the address of the page; nobody else's order is there."""
    async with counter(shop_url, store_url) as at:
        order = at.shown[0].ticket.order
        told = await at.api.get(f"/api/events/{EVENT}/orders/{order}/tickets")
        others = [
            await at.api.get(f"/api/events/{EVENT}/orders/{order}/tickets", headers={"buyer": "bob"}),
            await at.api.get(f"/api/events/{EVENT}/orders/{NOBODY}/tickets"),
            await at.api.get(f"/api/events/another/orders/{order}/tickets"),
        ]

    plain = told.json()
    assert [one["code"] for one in plain["tickets"]] == [one.code for one in at.shown]
    assert plain["link"] == at.path
    assert told.headers["cache-control"] == "no-store"
    assert [(one.status_code, one.json()["code"]) for one in others] == [(404, "order-unknown")] * 3


async def test_pages_are_kept_by_nobody_and_tell_nobody_where_they_are(shop_url: str, store_url: str) -> None:
    """No cache, no referrer, no search engine: the address itself opens the tickets."""
    async with counter(shop_url, store_url) as at:
        answers = [await at.page.get(at.path + rest) for rest in ("", "/tickets.pdf", f"/{at.first}.pkpass")]

    for answer in answers:
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "noindex" in answer.headers["x-robots-tag"]
    assert answers[0].text.count('aria-label="QR code') == 2
    assert answers[1].headers["content-type"] == "application/pdf"
    assert answers[2].headers["content-type"] == "application/vnd.apple.pkpass"


async def test_what_does_not_count_is_on_no_paper(shop_url: str, store_url: str) -> None:
    """The PDF has the one that counts; when none does there is none, and the page says why."""
    async with counter(shop_url, store_url) as at:
        await at.tickets.withdraw(EVENT, at.first)
        paper = await at.page.get(f"{at.path}/tickets.pdf")
        document = pypdfium2.PdfDocument(io.BytesIO(paper.content))
        codes = [
            one.text for page in document for one in zxingcpp.read_barcodes(page.render(scale=3).to_pil())
        ]
        wallet = await at.page.get(f"{at.path}/{at.first}.pkpass")
        await at.tickets.withdraw(EVENT, at.shown[1].ticket.id)
        none = await at.page.get(f"{at.path}/tickets.pdf")
        page = await at.page.get(at.path)

    assert codes == [at.shown[1].code]
    assert (wallet.status_code, none.status_code) == (404, 404)
    assert page.text.count("The organiser has withdrawn this ticket.") == 2
    assert 'aria-label="QR code' not in page.text
    assert "tickets.pdf" not in page.text


@pytest.mark.parametrize(
    ("method", "rest", "headers", "status"),
    [
        ("GET", "/tickets.pdf/", {}, 404),
        ("GET", f"/{NO_TICKET}.pkpass", {}, 404),
        ("GET", "/rubbish.pkpass", {}, 404),
        ("POST", "", {}, 405),
        ("GET", "/{first}/give", {}, 405),
        ("POST", f"/{NO_TICKET}/give", {}, 404),
        ("POST", "/rubbish/give", {}, 404),
        ("POST", f"/{NO_TICKET}/keep", {}, 404),
        ("POST", "/{first}/give", CROSS, 403),
        ("POST", "/{first}/keep", CROSS, 403),
        ("POST", "/{first}/give", {"origin": "https://evil.example"}, 403),
    ],
)
async def test_bad_requests_of_pages_change_nothing(
    method: str, rest: str, headers: dict[str, str], status: int, shop_url: str, store_url: str
) -> None:
    """Each with the answer that it deserves."""
    async with counter(shop_url, store_url) as at:
        before = at.rows()
        answer = await at.page.request(method, at.path + rest.format(first=at.first), headers=headers)
        after = at.rows()

    assert answer.status_code == status
    assert before == after


@pytest.mark.parametrize("what", ["mac", "short", "order", "event", "nobody", "ticket"])
async def test_a_link_that_is_not_ours_is_no_page(what: str, shop_url: str, store_url: str) -> None:
    """Whatever is changed in it; a ticket that its order's buyer has needs a link of its own."""
    async with counter(shop_url, store_url) as at:
        order = at.shown[0].ticket.order
        mac = at.path.rpartition("/")[2]
        path = {
            "mac": f"/tickets/{EVENT}/{order}/{'A' * 22}",
            "short": f"/tickets/{EVENT}/{order}/{mac[:-1]}",
            "order": f"/tickets/{EVENT}/{NOBODY}/{mac}",
            "event": f"/tickets/another/{order}/{mac}",
            "nobody": LINKS.tickets(EVENT, NOBODY),
            "ticket": f"/tickets/{EVENT}/{at.first}/{mac}",
        }[what]
        answers = [await at.page.get(path + rest) for rest in ("", "/tickets.pdf", f"/{at.first}.pkpass")]
        answers += [await at.page.post(f"{path}/{at.first}/{act}") for act in ("give", "keep")]

    assert [one.status_code for one in answers] == [404] * 5
    assert at.shown[0].code not in "".join(one.text for one in answers)


async def test_a_gift_is_taken_by_its_link_only(shop_url: str, store_url: str) -> None:
    """By no link of another offer, ticket or event, not from another site, and once."""
    async with counter(shop_url, store_url) as at:
        await at.page.post(f"{at.path}/{at.first}/give")
        (shown,) = await at.tickets.of_name(EVENT, at.first)
        assert shown.offer is not None
        link = LINKS.gift(EVENT, at.first, shown.offer.offered_ms)
        mac = link.rpartition("/")[2]
        before = at.rows()
        bad = [
            await at.page.post(path)
            for path in (
                f"/gift/{EVENT}/{at.first}/{'A' * 22}",
                f"/gift/{EVENT}/{at.shown[1].ticket.id}/{mac}",
                f"/gift/another/{at.first}/{mac}",
                f"/gift/{EVENT}/rubbish/{mac}",
                LINKS.gift(EVENT, at.first, shown.offer.offered_ms - 1),
            )
        ]
        cross = await at.page.post(link, headers=CROSS)
        unchanged = at.rows() == before
        looked = await at.page.get(link)
        taken = await at.page.post(link)
        again = await at.page.post(link)
        theirs = await at.page.get(taken.headers["location"])

    assert [one.status_code for one in bad] == [404] * 5
    assert (cross.status_code, looked.status_code, taken.status_code, again.status_code) == (
        403,
        200,
        303,
        410,
    )
    assert unchanged
    assert theirs.text.count('aria-label="QR code') == 1
    assert at.shown[0].code not in looked.text


async def test_where_giving_is_not_allowed_nothing_is_offered(shop_url: str, store_url: str) -> None:
    """The page has no form, and the address no effect."""
    async with counter(shop_url, store_url, can_be_given=False) as at:
        before = at.rows()
        page = await at.page.get(at.path)
        answer = await at.page.post(f"{at.path}/{at.first}/give")
        after = at.rows()

    assert "/give" not in page.text
    assert answer.status_code == 404
    assert before == after


async def test_the_desk_finds_withdraws_and_makes_anew(shop_url: str, store_url: str) -> None:
    """By order, number or id; no answer has a code in it, as nobody at the desk needs one."""
    async with counter(shop_url, store_url) as at:
        ticket, own = at.shown[0].ticket, f"{PREFIX}/events/{EVENT}/tickets"
        by_order = await at.desk.get(own, params={"order": ticket.order})
        by_number = await at.desk.get(own, params={"find": ticket.number.lower()})
        by_id = await at.desk.get(own, params={"find": ticket.id})
        made = await at.desk.post(f"{own}/{ticket.id}/reissue")
        again = await at.desk.post(f"{own}/{ticket.id}/reissue")
        gone = await at.desk.post(f"{own}/{at.shown[1].ticket.id}/withdraw")
        same = await at.desk.post(f"{own}/{at.shown[1].ticket.id}/withdraw")
        nothing = await at.desk.get(own, params={"find": "00000-00000"})
        page = await at.page.get(made.json()["link"])

    assert [one["ticket"] for one in by_order.json()["tickets"]] == [one.ticket.id for one in at.shown]
    assert by_number.json() == by_id.json()
    assert made.status_code == 201
    assert made.json()["issue"] == 2
    assert (again.status_code, again.json()["code"]) == (409, "ticket-not-valid")
    assert gone.json() == same.json()
    assert gone.json()["why"] == "withdrawn"
    assert nothing.json() == {"tickets": []}
    assert page.text.count('aria-label="QR code') == 1
    assert not any('"code"' in one.text for one in (by_order, by_number, made, gone))


@pytest.mark.parametrize(
    ("method", "rest", "status", "code"),
    [
        ("GET", "", 400, "query-invalid"),
        ("GET", "?order=", 404, "order-unknown"),
        ("GET", "?order=rubbish", 404, "order-unknown"),
        ("GET", f"?order={NOBODY}&find=x", 400, "query-invalid"),
        ("GET", "?find=x&find=y", 400, "query-invalid"),
        ("GET", "?find=" + "x" * 65, 400, "query-invalid"),
        ("GET", "?page=1", 400, "query-invalid"),
        ("POST", "", 405, "method-not-allowed"),
        ("POST", f"/{NO_TICKET}/withdraw", 404, "ticket-unknown"),
        ("POST", f"/{NO_TICKET}/reissue", 404, "ticket-unknown"),
        ("POST", "/rubbish/withdraw", 404, "ticket-unknown"),
        ("POST", "/rubbish/reissue", 404, "ticket-unknown"),
        ("GET", f"/{NO_TICKET}/withdraw", 405, "method-not-allowed"),
    ],
)
async def test_bad_input_at_the_desk_has_its_answer(
    method: str, rest: str, status: int, code: str, shop_url: str, store_url: str
) -> None:
    """And moves nothing."""
    async with counter(shop_url, store_url) as at:
        before = at.rows()
        answer = await at.desk.request(method, f"{PREFIX}/events/{EVENT}/tickets{rest}")
        after = at.rows()

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert before == after


@pytest.mark.parametrize("rest", ["?find=x", f"/{NO_TICKET}/withdraw", f"/{NO_TICKET}/reissue"])
async def test_the_desk_is_the_organisers(rest: str, shop_url: str, store_url: str) -> None:
    """Without a token, or with a wrong one."""
    async with counter(shop_url, store_url) as at:
        path = f"{PREFIX}/events/{EVENT}/tickets{rest}"
        method = "GET" if rest.startswith("?") else "POST"
        answers = [
            await at.desk.request(method, path, headers={"authorization": word})
            for word in ("", "Bearer wrong", "Basic eDp5")
        ]

    assert {one.status_code for one in answers} == {401}
