"""Scripted shop: a server whose hall does what a test or a picture wants, behind the real pages.

It speaks the shop's wire (pages, layout, map, stream of changes, holds, reservations, waitlist) from memory: no store,
no database, no rules beyond what a page must meet. What others do and what goes wrong is set from outside, also
while pages look: `others_take`, `expire`, and the switches of `Scene`. Used by ``tests/process/test_seat_page.py``,
``bench.shop_screenshots`` and ``bench.seat_frames``; never shipped.
"""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scripted_hall import Hall, Scene, now_ms, programme
from checkout.halls.seats import Status
from checkout.sandbox import fields as card_fields
from checkout.sandbox import secure_page
from checkout.sandbox.records import Intent
from checkout.sandbox.words import spoken
from checkout.site.assets import assets, version
from checkout.site.fields import sandbox_fields
from checkout.site.order_pages import SANDBOX_WAYS
from checkout.site.render import Pages, Visit, content_security_policy
from checkout.site.words import negotiate

__all__ = ["Scene", "Shop", "serving"]

BEAT_S = 0.05
FIELDS_KEY = "pk_test_scripted"
REVOKE = {"Cf-Waiting-Room-Command": "revoke"}


class Shop(Hall):
    """The application around one scene."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.pages = Pages()
        event = "/events/{event}"
        api = "/api/events/{event}"
        routes: list[tuple[str, Callable[[Request], Any], list[str]]] = [
            ("/", self.programme, ["GET"]),
            (event, self.event_page, ["GET"]),
            (f"{event}/seats", self.seats_page, ["GET"]),
            (f"{event}/hold", self.hold_page, ["GET", "POST"]),
            (f"{event}/hold/{{hold}}/reserve", self.plain_reserve, ["POST"]),
            (f"{event}/hold/{{hold}}/release", self.plain_release, ["POST"]),
            (f"{event}/reservation/{{reservation}}", self.reservation_page, ["GET"]),
            (f"{event}/reservation/{{reservation}}/release", self.plain_give_up, ["POST"]),
            (f"{event}/order/{{phase}}", self.order_page, ["GET"]),
            ("/bank", self.bank, ["GET"]),
            *((path, self.card_fields, ["GET"]) for path in sorted(card_fields.PATHS)),
            ("/finish", self.finish, ["GET", "POST"]),
            ("/layouts/{layout}.json", self.layout, ["GET"]),
            ("/static/{version}/{name}", self.static, ["GET"]),
            (f"{api}/map", self.map, ["GET"]),
            (f"{api}/deltas", self.stream, ["GET"]),
            (f"{api}/holds", self.make_hold, ["POST"]),
            (f"{api}/holds/mine", self.mine, ["GET"]),
            (f"{api}/holds/{{hold}}/extend", self.extend, ["POST"]),
            (f"{api}/holds/{{hold}}/reserve", self.reserve, ["POST"]),
            (f"{api}/holds/{{hold}}", self.release, ["DELETE"]),
            (f"{api}/waitlist", self.wait, ["GET", "POST", "DELETE"]),
        ]
        self.app = Starlette(
            routes=[Route(path, endpoint, methods=methods) for path, endpoint, methods in routes],
            exception_handlers={404: self.missing},
        )

    # ------------------------------------------------------------------------------------------- pages
    async def programme(self, request: Request) -> Response:
        """Show all evenings, or those that were searched for."""
        query = request.query_params.get("q", "")
        city = request.query_params.get("city", "")
        found = [
            one
            for one in programme(self.event())
            if query.lower() in (one["title"] + one["subtitle"]).lower() and city in {"", one["city"]}
        ]
        more = "5" if not query and not city else ""
        cities = ("Bremen", "Hamburg")
        return self._html(
            self.pages.programme(
                self._visit(request), found, query=query, city=city, cities=cities, after=more
            )
        )

    async def event_page(self, request: Request) -> Response:
        """Show the event."""
        return self._html(self.pages.event(self._visit(request), self.event(), _key()))

    async def seats_page(self, request: Request) -> Response:
        """Show the hall."""
        return self._html(self.pages.seats(self._visit(request), self.event(), _key()))

    async def hold_page(self, request: Request) -> Response:
        """Take the plain form, or show what is held."""
        if request.method == "POST":
            form = parse_qs((await request.body()).decode())
            tier = form.get("tier", [""])[0]
            wish = {"best": {"count": int(form["count"][0]), "tier": int(tier) if tier else None}}
            status, answer = self.hold_seats(form["key"][0], wish)
            if status >= 400:
                page = self.pages.trouble(self._visit(request), self.event(), answer["code"])
                return self._html(page, status)
            return RedirectResponse(f"/events/{request.path_params['event']}/hold", 303)
        held = self.held()
        return self._html(
            self.pages.hold(self._visit(request), self.event(), held[0] if held else None, _key())
        )

    async def plain_reserve(self, request: Request) -> Response:
        """Reserve from a form."""
        status, answer = self.reserve_hold(request.path_params["hold"])
        if status >= 400:
            return self._html(self.pages.trouble(self._visit(request), self.event(), "hold-expired"), status)
        path = f"/events/{request.path_params['event']}/reservation/{answer['reservation']}"
        return RedirectResponse(path, 303)

    async def plain_release(self, request: Request) -> Response:
        """Give back from a form."""
        self.give_back(request.path_params["hold"])
        return RedirectResponse(f"/events/{request.path_params['event']}/hold", 303)

    async def plain_give_up(self, request: Request) -> Response:
        """Give a reservation back from a form."""
        found = self.reservations[request.path_params["reservation"]]
        found["state"] = "released"
        self.put([seat["seat"] for seat in found["seats"]], Status.FREE)
        return RedirectResponse(request.url.path.removesuffix("/release"), 303)

    async def reservation_page(self, request: Request) -> Response:
        """Show a reservation."""
        found = self.reservations.get(request.path_params["reservation"])
        if found is None:
            return self._html(self.pages.missing(self._visit(request)), 404)
        return self._html(self.pages.reservation(self._visit(request), self.event(), found))

    async def order_page(self, request: Request) -> Response:
        """Show an order in any phase; `?decline=` why its last try did not succeed, `?fields=1` with card fields."""
        phase = request.path_params["phase"]
        states = {"review": "review", "paid": "paid", "refunded": "refunded", "over": "lapsed"}
        paper = self.paper(self.free(2, 0))
        order = paper | {
            "order": "O7kQ2mXc4vTd", "state": states.get(phase, "open"), "phase": phase, "attempt": 1,
            "refunded_minor": paper["total_minor"] if phase == "refunded" else 0, "attempts_left": 3,
            "decline": request.query_params.get("decline", "insufficient-funds"), "action_url": "/bank",
            "until_ms": now_ms() + 540_000, "card": "visa 4242" if phase in {"paid", "refunded"} else "",
        }  # fmt: skip
        ways = [(way.token, way.words) for way in SANDBOX_WAYS]
        fields = (
            sandbox_fields(FIELDS_KEY, str(request.base_url)) if "fields" in request.query_params else None
        )
        text = self.pages.order(
            self._visit(request), self.event(), order, paper["seats"], ways, _key(), fields
        )
        return self._html(text, policy=content_security_policy(fields=fields))

    async def bank(self, request: Request) -> Response:
        """Show the page of the buyer's bank."""
        paper = self.paper(self.free(2, 0))
        intent = Intent("pi_1", paper["total_minor"], paper["currency"].lower(), 0, "manual")
        intent.metadata["order"] = "O7kQ2mXc4vTd"
        headers = {name.decode(): text.decode() for name, text in secure_page.headers(intent)}
        words = spoken(request.headers.get("accept-language", "").encode())
        return Response(secure_page.question(intent, words), headers=headers)

    async def card_fields(self, request: Request) -> Response:
        """Send script and frame of the sandbox's card fields."""
        path, query = request.url.path, request.url.query.encode()
        status, headers, body = card_fields.answer(path, query, FIELDS_KEY)
        return Response(body, status, {name.decode(): text.decode() for name, text in headers})

    async def finish(self, request: Request) -> Response:
        """Say goodbye."""
        policy = content_security_policy(standalone=True)
        response = self._html(self.pages.finish(self._visit(request)))
        response.headers.update(REVOKE | {"Content-Security-Policy": policy})
        return response

    async def missing(self, request: Request, _error: Exception) -> Response:
        """Say that there is no such page."""
        return self._html(self.pages.missing(self._visit(request)), 404)

    async def static(self, request: Request) -> Response:
        """Send a static file as the product does."""
        asset = assets().get(request.path_params["name"])
        if asset is None or request.path_params["version"] != version():
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Encoding": "gzip"}
        return Response(asset.gzip, headers=headers, media_type=asset.media_type)

    # -------------------------------------------------------------------------------------------- wire
    async def layout(self, _request: Request) -> Response:
        """Send the layout."""
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self.document, media_type="application/json", headers=headers)

    async def map(self, _request: Request) -> Response:
        """Send the map, or only how much is free in each section."""
        self.scene.seen["map"] += 1
        if refusal := await self._trouble():
            return refusal
        headers = {"Map-Version": self.version, "Cache-Control": "no-cache"}
        if self.scene.sections_only:
            body = {"detail": "sections", "version": self.version, "sections": self.section_counts()}
            return JSONResponse(body, headers=headers | {"Map-Detail": "sections"})
        headers["Map-Detail"] = "seats"
        return Response(bytes(self.octets), media_type="application/octet-stream", headers=headers)

    async def stream(self, request: Request) -> Response:
        """Send what changes."""
        self.scene.seen["stream"] += 1
        # A line that is cut refuses nobody: nothing comes.
        while self.scene.cut and not self.scene.is_over:  # noqa: ASYNC110 - other threads set it
            await asyncio.sleep(BEAT_S)
        if self.scene.away or self.scene.is_over:
            return Response(status_code=503)
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if request.headers.get("last-event-id"):
            self.scene.seen["resumed"] += 1
        after = int(last.rpartition("-")[2]) if last.rpartition("-")[2].isdigit() else self.sequence
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(after), headers=headers, media_type="text/event-stream")

    async def _changes(self, after: int) -> AsyncIterator[bytes]:
        yield b"retry: 300\n: here\n\n"
        counted = None
        while not self.scene.cut:
            while after < self.sequence:
                kind, id_, text = self.deltas[after]
                after += 1
                name = "" if kind == "message" else f"event: {kind}\n"
                yield f"{name}id: {id_}\ndata: {text}\n\n".encode()
            if self.scene.sections_only and counted != self.section_counts():
                counted = self.section_counts()
                yield f"event: counts\ndata: {json.dumps({'sections': counted})}\n\n".encode()
            await asyncio.sleep(BEAT_S)

    async def make_hold(self, request: Request) -> Response:
        """Hold seats."""
        self.scene.seen["hold"] += 1
        if refusal := await self._trouble():
            return refusal
        key = request.headers.get("idempotency-key", "")
        self.scene.keys.append(key)
        if self.scene.refusals:
            status, members = self.scene.refusals.pop(0)
            return _problem(status, **members)
        status, answer = self.hold_seats(key, await request.json())
        if self.scene.lose_answers:
            self.scene.lose_answers -= 1
            return Response(status_code=502)
        return JSONResponse(answer, status) if status < 400 else _problem(status, **answer)

    async def mine(self, _request: Request) -> Response:
        """Tell which holds there are."""
        self.scene.seen["mine"] += 1
        if refusal := await self._trouble():
            return refusal
        return JSONResponse(
            {"holds": [hold | {"now_ms": now_ms()} for hold in self.held()], "now_ms": now_ms()}
        )

    async def extend(self, request: Request) -> Response:
        """Give more time, once."""
        if refusal := await self._trouble():
            return refusal
        hold = self.holds.get(request.path_params["hold"])
        if hold is None or hold["state"] != "held":
            return _problem(410, code="hold-over", state="expired")
        if hold["extendable"]:
            hold |= {"extendable": False, "until_ms": hold["until_ms"] + round(self.scene.hold_s * 1000)}
        return JSONResponse(hold | {"now_ms": now_ms()})

    async def release(self, request: Request) -> Response:
        """Give a hold back."""
        if refusal := await self._trouble():
            return refusal
        self.give_back(request.path_params["hold"])
        return Response(status_code=204)

    async def reserve(self, request: Request) -> Response:
        """Turn a hold into a reservation."""
        if refusal := await self._trouble():
            return refusal
        status, answer = self.reserve_hold(request.path_params["hold"])
        return JSONResponse(answer, status) if status < 400 else _problem(status, **answer)

    async def wait(self, request: Request) -> Response:
        """Join, ask or leave the waitlist."""
        if refusal := await self._trouble():
            return refusal
        if request.method == "DELETE":
            self.waitlist = None
            return Response(status_code=204)
        if request.method == "POST":
            self.waitlist = {
                "number": 20,
                "before": 13,
                "offer": None,
                "state": "waiting",
                **(await request.json()),
            }
        if self.waitlist is None:
            return _problem(404, code="not-waiting")
        return JSONResponse(self.waitlist)

    # ------------------------------------------------------------------------------------------- small
    async def _trouble(self) -> Response | None:
        await asyncio.sleep(self.scene.slow_s)
        if self.scene.away:
            return _problem(503, code="store-away", retry_after_s=0)
        return None

    def _visit(self, request: Request) -> Visit:
        wanted = request.query_params.get("lang", "")
        language = negotiate(request.headers.get("accept-language", ""), wanted)
        return Visit(language, now_ms(), "k3Jx91QzVb0", "standard", offer=self.scene.offer)

    def _html(self, text: str, status: int = 200, policy: str = "") -> HTMLResponse:
        headers = {
            "Content-Security-Policy": policy or content_security_policy(), "Cache-Control": "no-store",
        }  # fmt: skip
        return HTMLResponse(text, status, headers)


def _key() -> str:
    return f"{random.getrandbits(128):032x}"


def _problem(status: int, code: str, **more: Any) -> Response:
    body = {
        "type": f"https://waitroom.dev/problems/{code}",
        "status": status,
        "code": code,
        "detail": code,
        **more,
    }
    return JSONResponse(body, status, media_type="application/problem+json")


@contextlib.contextmanager
def serving(scene: Scene) -> Iterator[tuple[Shop, str]]:
    """Serve a scene on a free port of this machine; give the shop and its address."""
    shop = Shop(scene)
    server = uvicorn.Server(
        uvicorn.Config(
            shop.app,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield shop, f"http://127.0.0.1:{port}"
    finally:
        scene.cut = scene.is_over = True
        server.should_exit = server.force_exit = True
        thread.join(5)
