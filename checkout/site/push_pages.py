"""Push pages: what a page's script asks for to have its browser told of an order, by Web Push.

    GET  /tickets/push.js                                       the service worker that shows messages
    POST /events/{event}/order/{order}/push                     {"subscription", "key"}: tell this browser
    POST /events/{event}/order/{order}/push/forget              {"endpoint"}: do not
    POST /tickets/{event}/{order}/{mac}/push, …/push/forget     the same, for who has the link to an order's tickets

An order's page is its buyer's; the page of its tickets is whose the link is. A ticket that was given away has no order
to be told of. The worker stands below ``/tickets/``, which needs no admission, and has a scope of its own
(``/tickets/push/``), in which there is no page: it never stands between a page and the shop. The language is that of
the page. Without a script, and in browsers that cannot, the pages say nothing of it.

Answers are for scripts: nothing, or a problem. Not here: what is kept (``people.devices``), what is sent
(``notifications.push``).
"""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from checkout.metrics import Metrics
from checkout.people.contacts import Contacts
from checkout.people.devices import Devices
from checkout.requests import read_object, same_site
from checkout.site.render import ShownPush, Visit
from checkout.tickets.links import Links
from checkout.tickets.ticket import is_ticket_id
from kernel.asgi import Scope
from kernel.errors import Refused, Unavailable
from kernel.problems import raw_problem
from kernel.vapid import VapidKeys
from kernel.webpush import ENDPOINT_MOST, PushHosts, read_subscription

WORKER = "/tickets/push.js"
SCOPE = "/tickets/push/"

_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_WORKER_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}
Owned = Callable[[Request], Awaitable[str]]


class PushPages:
    """Handlers, and what pages show."""

    def __init__(
        self,
        keys: VapidKeys,
        hosts: PushHosts,
        devices: Devices,
        contacts: Contacts,
        links: Links | None,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
    ) -> None:
        """`contacts` know whose an order is, `links` which of them open tickets; `buyer_of` tells who asks."""
        self._keys = keys
        self._hosts = hosts
        self._devices = devices
        self._contacts = contacts
        self._links = links
        self._buyer_of = buyer_of
        self._metrics = metrics
        self._visit: Callable[[Request], Visit]

    def routes(self, visit_of: Callable[[Request], Visit]) -> list[Route]:
        """Give the addresses; `visit_of` is the other pages' own."""
        self._visit = visit_of
        found = [Route(WORKER, self.worker, methods=["GET"])]
        pages: list[tuple[str, Owned]] = [("/events/{event}/order/{order}/push", self._bought)]
        if self._links is not None:
            pages.append(("/tickets/{event}/{order}/{mac}/push", self._linked))
        for path, owned in pages:
            found += [
                Route(path, self._answering(self.keep, owned), methods=["POST"]),
                Route(f"{path}/forget", self._answering(self.forget, owned), methods=["POST"]),
            ]
        return found

    def shown(self, event: str, order: str, path: str) -> ShownPush:
        """Say what a page's script must know; `path` is the page's own."""
        newest = self._keys.newest.public
        known = " ".join(key.public for key in self._keys.keys)
        return ShownPush(newest, known, f"{path}/push", f"{event}/{order}", WORKER, SCOPE)

    async def worker(self, request: Request) -> Response:
        """Give the service worker; a browser asks for it again by itself."""
        del request
        return Response(_worker(), 200, _WORKER_HEADERS, "text/javascript")

    async def keep(self, request: Request, event: str, order: str) -> None:
        """Tell this browser. Raises ``Refused("push-subscription-invalid")``."""
        _, plain = await read_object(request.scope, request.receive)
        key = plain.get("key")
        if set(plain) != {"subscription", "key"} or not isinstance(key, str) or self._keys.of(key) is None:
            raise Refused(
                "push-subscription-invalid",
                "Send subscription, as the browser gives it, and key, the page's own that it was made under.",
            )
        subscription = read_subscription(plain["subscription"], key, self._hosts)
        await self._devices.put(event, order, subscription, self._visit(request).language)

    async def forget(self, request: Request, event: str, order: str) -> None:
        """Do not tell this browser. Raises ``Refused("push-subscription-invalid")``."""
        _, plain = await read_object(request.scope, request.receive)
        endpoint = plain.get("endpoint")
        if not isinstance(endpoint, str) or len(endpoint) > ENDPOINT_MOST or set(plain) != {"endpoint"}:
            raise Refused(
                "push-subscription-invalid", "Send the endpoint of the subscription, and nothing else."
            )
        await self._devices.forget(event, order, endpoint)

    # ------------------------------------------------------------------------------ the parts

    def _answering(
        self, act: Callable[[Request, str, str], Awaitable[None]], owned: Owned
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                same_site(request.scope)
                order = await owned(request)
                await act(request, request.path_params["event"], order)
            except (Refused, Unavailable) as error:
                self._metrics.refused.count(error.code)
                status, headers, body = raw_problem(error)
                problem = Response(body, status)
                problem.raw_headers += headers
                return problem
            return Response(None, 204, _PRIVATE)

        return answer

    async def _bought(self, request: Request) -> str:
        """See that the order is the buyer's."""
        event, order = request.path_params["event"], request.path_params["order"]
        if not await self._contacts.owns(event, self._buyer_of(request.scope), order):
            raise _unknown()
        return str(order)

    async def _linked(self, request: Request) -> str:
        """See that the link is ours, and an order's."""
        event, order, mac = (request.path_params[part] for part in ("event", "order", "mac"))
        if self._links is None or is_ticket_id(order) or not self._links.opens(event, order, mac):
            raise _unknown()
        return str(order)


def _unknown() -> Refused:
    return Refused("order-unknown", "You have no such order.", 404)


@cache
def _worker() -> str:
    return files("checkout.site").joinpath("static", "push", "worker.js").read_text("utf-8")
