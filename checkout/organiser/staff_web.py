"""Staff desk: the organiser's addresses for who may log in. An owner's, with a second factor where something changes.

    GET     /staff                {"staff": [{"name", "role", "is_bound", "invited_until_ms", "until_ms"}]}
    POST    /staff                {"name", "role", "email", "days"?}: invite somebody
    GET     /staff/logins         {"logins": [{"at_ms", "name", "outcome", "network"}]}, the newest first
    PUT     /staff/{name}/role    {"role"}: their sessions are over
    DELETE  /staff/{name}         they are let in no more, at once

The address of an invitation comes in a body and is not kept as it is. Not here: who comes in (``staffroom``), tokens,
which the command makes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.organiser.talking import PREFIX, answer, document, resource, told
from checkout.people.staff import StaffRole
from checkout.people.staff_people import MOST_DAYS, USUAL_DAYS, Invited, StaffPeople
from checkout.people.staff_sessions import StaffSessions
from kernel.errors import Refused

FIELDS = frozenset({"name", "role", "email", "days"})


class StaffDesk:
    """The addresses; ``routes`` go behind the organiser's door."""

    def __init__(
        self, people: StaffPeople, sessions: StaffSessions, is_token: Callable[[str], bool] = lambda _: False
    ) -> None:
        """`is_token` tells which names programs have."""
        self._people = people
        self._sessions = sessions
        self._is_token = is_token
        self.routes: Sequence[Route] = [
            resource(f"{PREFIX}/staff", GET=self.all, POST=self.invite),
            resource(f"{PREFIX}/staff/logins", GET=self.logins),
            resource(f"{PREFIX}/staff/{{name}}/role", PUT=self.change),
            resource(f"{PREFIX}/staff/{{name}}", DELETE=self.remove),
        ]

    async def all(self, _request: Request) -> Response:
        """GET /staff."""
        found = await asyncio.to_thread(self._people.all)
        return answer(
            {
                "staff": [
                    {
                        "name": one.name, "role": one.role.value, "is_bound": one.is_bound,
                        "invited_until_ms": one.invited_until_ms, "until_ms": one.until_ms,
                    }
                    for one in found
                ]
            }
        )  # fmt: skip

    async def invite(self, request: Request) -> Response:
        """POST /staff."""
        plain = await document(request)
        name, email, days = plain.get("name"), plain.get("email"), plain.get("days", USUAL_DAYS)
        if (
            not isinstance(name, str)
            or not isinstance(email, str)
            or not isinstance(days, int)
            or isinstance(days, bool)
            or not 1 <= days <= MOST_DAYS
            or not set(plain) <= FIELDS
        ):
            raise Refused(
                "staff-invalid", f"Send name, role and email, and perhaps days, 1 to {MOST_DAYS}.", 422
            )
        role = read_role(plain)
        if self._is_token(name):
            raise _taken()
        made = await asyncio.to_thread(lambda: self._people.invite(name, role, days, email=email))
        match made:
            case Invited.MADE:
                told(request, "staff-invited", member=name, role=role.value)
                return answer({"name": name, "role": role.value}, 201)
            case Invited.NAME_TAKEN | Invited.ADDRESS_TAKEN:
                raise _taken()
            case Invited.NAME_WRONG | Invited.ADDRESS_WRONG:
                raise Refused("staff-invalid", "This cannot be a name in the log, or no address.", 422)

    async def logins(self, _request: Request) -> Response:
        """GET /staff/logins."""
        found = await self._sessions.entries()
        lines = [
            {"at_ms": one.at_ms, "name": one.name, "outcome": one.outcome, "network": one.prefix}
            for one in found
        ]
        return answer({"logins": lines})

    async def change(self, request: Request) -> Response:
        """PUT /staff/{name}/role."""
        name, role = str(request.path_params["name"]), read_role(await document(request))
        if not await asyncio.to_thread(self._people.change, name, role):
            raise _unknown()
        told(request, "staff-changed", member=name, role=role.value)
        return answer({"name": name, "role": role.value})

    async def remove(self, request: Request) -> Response:
        """DELETE /staff/{name}."""
        name = str(request.path_params["name"])
        if not await asyncio.to_thread(self._people.remove, name):
            raise _unknown()
        told(request, "staff-removed", member=name)
        return answer({"name": name})


def read_role(plain: Mapping[str, object]) -> StaffRole:
    """Read a role. Raises ``Refused``."""
    try:
        return StaffRole(str(plain.get("role")))
    except ValueError:
        known = ", ".join(StaffRole)
        raise Refused("staff-invalid", f"There are the roles {known}.", 422) from None


def _taken() -> Refused:
    return Refused("staff-taken", "This name or this address is somebody's already.", 409)


def _unknown() -> Refused:
    return Refused("staff-unknown", "There is nobody of this name.", 404)
