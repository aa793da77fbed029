"""Team's pages: who may log in, in which role and until when, and who did. An owner's, who shows a second factor.

The address of an invitation goes in a form and is not kept as it is. Not here: tokens of programs, which the command
makes; one's own factors (``staffroom``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from checkout.backoffice.asking import NotDone
from checkout.backoffice.programme_fields import NotRead, read_whole
from checkout.backoffice.programme_prices import FieldFault
from checkout.backoffice.programme_telling import beside, unread
from checkout.backoffice.visit import Page, Visit
from checkout.people.staff import NAME, StaffRole
from checkout.people.staff_people import MOST_DAYS, USUAL_DAYS
from checkout.people.staff_sessions import ENTERED, INVITED

STAFF = ("GET", "/staff")
LOGINS = ("GET", "/staff/logins")
INVITE = ("POST", "/staff")
CHANGE = ("PUT", "/staff/{name}/role")
REMOVE = ("DELETE", "/staff/{name}")


async def team(visit: Visit) -> Response:
    """GET /team: who, in which role, when they were there last; and all logins."""
    staff = (await visit.ask(*STAFF)).plain["staff"]
    logins = (await visit.ask(*LOGINS)).plain["logins"]
    shown: dict[str, Any] = {"staff": staff, "logins": logins, "last": last_of(logins)}
    shown |= {"roles": [role.value for role in StaffRole], "days": str(USUAL_DAYS), "days_most": MOST_DAYS}
    return await visit.show("team.html", here="team", beside=beside(visit), **shown)


async def invite(visit: Visit) -> Response:
    """POST /team: invite somebody."""
    try:
        days = read_whole(visit.field("days"))
    except NotRead as wrong:
        raise unread([FieldFault("days", wrong.why)]) from None
    if NAME.fullmatch(visit.field("name")) is None:
        raise unread([FieldFault("name", "staff-name")])
    plain = {
        "name": visit.field("name"),
        "role": visit.field("role"),
        "email": visit.field("email"),
        "days": days,
    }
    await visit.ask(*INVITE, plain=plain, code=visit.field("code"))
    return visit.to("/team", said="staff-invited")


async def change(visit: Visit) -> Response:
    """POST /team/{name}/role: another role; their sessions are over."""
    await visit.ask(*CHANGE, plain={"role": visit.field("role")}, code=visit.field("code"))
    return visit.to("/team", said="staff-changed")


async def remove(visit: Visit) -> Response:
    """POST /team/{name}/remove: they are let in no more."""
    if visit.field("sure") != "yes":
        raise NotDone(422, "not-sure", "Nothing was done.")
    await visit.ask(*REMOVE, code=visit.field("code"))
    return visit.to("/team", said="staff-removed")


def last_of(logins: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Tell when each was let in last, of what the list still has; newest first in, by name out."""
    made: dict[str, int] = {}
    for one in logins:
        if one["outcome"] in {ENTERED, INVITED}:
            made.setdefault(one["name"], one["at_ms"])
    return made


PAGES: Sequence[Page] = (
    Page("GET", "/team", team, (STAFF, LOGINS)),
    Page("POST", "/team", invite, (STAFF, INVITE), again=team),
    Page("POST", "/team/{name}/role", change, (STAFF, CHANGE), again=team),
    Page("POST", "/team/{name}/remove", remove, (STAFF, REMOVE), again=team),
)
