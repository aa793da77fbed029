"""Targets page: whom events are told, for owners: how far each has heard, the last tries, and what can be done.

Complete without JavaScript. A secret is shown on the page that answers the form which made it, and never again. Each
act but a test takes a reason, which goes into the journal.
Not here: what may be a target (``waitroom.targets``), the same for programs (``targets_api``).
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboards.access import Session
from dashboards.entrance import Entrance
from dashboards.guest_api import by_of
from dashboards.operator_api import resource
from dashboards.page import IN_DOUBT, SAFE, Pages, one_line
from dashboards.ports import Outgoing
from dashboards.rights import Role, demand
from dashboards.targets_api import delivery_document, target_document
from kernel.errors import Misconfigured, Refused, Unavailable
from waitroom.configure import Actor
from waitroom.target_desk import Act
from waitroom.targets import Way

TRIES_SHOWN = 100
MAKE, REMOVE = "make", "remove"

DONE: Mapping[str, str] = {
    MAKE: "The target is told from now on.",
    REMOVE: "The target is told no more.",
    Act.PAUSE: "Paused. It goes on where it was.",
    Act.RESUME: "Resumed.",
    Act.REPLAY: "It is told again from there on.",
}
TESTED: Mapping[str, str] = {"sent": "The test has arrived.", "": "The test was not taken: "}


class TargetsPage:
    """The page and its forms."""

    def __init__(self, outgoing: Outgoing, pages: Pages, entrance: Entrance) -> None:
        """Show the targets of `outgoing` to owners who came through `entrance`."""
        self._desk = outgoing.targets
        self._reader = outgoing.reader
        self._pages = pages
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """Return the page's routes."""
        return [resource("/targets", GET=self.show), resource("/targets/{act}", POST=self.act)]

    async def show(self, request: Request) -> Response:
        """GET /targets."""
        session = self._entrance.session(request)
        if session is None:
            return self._entrance.away(request)
        demand(session.person, Role.OWNER)
        return await self._page(session, DONE.get(request.query_params.get("done", ""), ""))

    async def act(self, request: Request) -> Response:
        """POST /targets/{act}."""
        session, act = self._entrance.session(request), request.path_params["act"]
        if session is None:
            return self._entrance.away(request)
        demand(session.person, Role.OWNER)
        if act not in {MAKE, REMOVE, *Act}:
            raise Refused("act-unknown", "There is no such thing to do here.", 404)
        form = await self._entrance.form(request, session)
        if form is None:
            told = "This form did not come from this page as it is now, so nothing was changed. Please try again."
            return await self._page(session, told, 403)
        try:
            why = one_line(form.get("why", ""))
            if act != Act.TEST:
                by_of(session.who, why)
            secret, told = await self._do(act, form, Actor(session.who, why))
        except Misconfigured as error:
            return await self._page(
                session, f"Nothing was changed: {'; '.join(error.faults)}.", 422, kept=form
            )
        except Refused as error:
            return await self._page(session, f"Nothing was changed: {error.public}", error.status, kept=form)
        except Unavailable as error:
            return self._pages.away(session, error, IN_DOUBT if act in (MAKE, Act.ROTATE) else "")
        if secret or told:
            return await self._page(session, told, secret=secret, whose=form.get("name", ""))
        return RedirectResponse("/targets?" + urlencode({"done": act}), 303, SAFE)

    async def _do(self, act: str, form: Mapping[str, str], actor: Actor) -> tuple[str, str]:
        """Do it; return a secret to be shown once, and what to say instead of the usual words."""
        name = form.get("name", "")
        if act == MAKE:
            _, secret = await self._desk.make(_given(form), actor)
            return secret, ""
        if act == REMOVE:
            await self._desk.remove(name, actor)
            return "", ""
        _, secret = await self._desk.act(name, Act(act), {"from": _number(form.get("from", ""))}, actor)
        if act == Act.TEST:
            # What it was told beside may have come in between.
            last = next(one for one in await self._desk.deliveries(name) if one.first_seq == 0)
            return "", TESTED["sent"] if last.outcome == "sent" else TESTED[""] + (
                last.why or last.outcome
            ) + "."
        return secret, ""

    async def _page(
        self, session: Session, told: str = "", status: int = 200, kept: Mapping[str, str] | None = None,
        secret: str = "", whose: str = "",
    ) -> Response:  # fmt: skip
        try:
            targets = await self._desk.all()
            head = await asyncio.to_thread(self._reader.head)
            shown = [
                {
                    **target_document(target),
                    "behind": max(0, head - target.cursor),
                    "tried": [
                        delivery_document(one)
                        for one in (await self._desk.deliveries(target.name))[:TRIES_SHOWN]
                    ],
                }
                for target in targets
            ]
        except Unavailable as error:
            made = [(f"The secret that signs what {whose} gets", secret)] if secret else ()
            return self._pages.away(session, error, made=made)
        return self._pages.render(
            "targets.html",
            status,
            session=session,
            csrf=self._entrance.csrf(session),
            told=told,
            refused=status != 200,
            targets=shown,
            choices=[way.value for way in Way if way is not Way.MAIL or self._desk.mails],
            kept=kept or {},
            secret=secret,
            whose=whose,
        )


def _given(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the form of a new target as the API's document."""
    given: dict[str, Any] = {name: form.get(name, "").strip() for name in ("name", "way", "address")}
    for name in ("rooms", "kinds"):
        given[name] = form.get(name, "").replace(",", " ").split()
    return given


def _number(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 17 else text
