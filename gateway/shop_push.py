"""Shop's push: messages in browsers, put together: keys, services, who is told, pages and the channel.

Only where the operator says whom push services may write to, and where money is taken: there are orders to be told of.
What asks services over HTTP is imported when the first message is sent. Nothing is decided here.
"""

from collections.abc import Callable
from pathlib import Path

from checkout.metrics import Metrics
from checkout.notifications.ports import Links as Addresses
from checkout.notifications.push import Pushing
from checkout.notifications.settings import NotificationSettings
from checkout.site.notes import Notes
from checkout.site.push_pages import PushPages
from checkout.tickets.links import Links
from gateway.settings import Settings
from gateway.shop_parts import ShopParts
from gateway.shop_people import JoinedPeople
from gateway.shop_post import chosen
from gateway.shop_tickets import JoinedTickets
from kernel.asgi import Scope
from kernel.vapid import VapidKeys
from kernel.webpush import Pusher, PushHosts


def push_keys_path(own: NotificationSettings, data: Path) -> Path:
    """Name the file with the keys of push messages; `data` is the installation's folder."""
    return own.push_keys or data / "push-keys.json"


class JoinedPush:
    """One process's messages in browsers."""

    def __init__(
        self,
        own: NotificationSettings,
        data: Path,
        parts: ShopParts,
        people: JoinedPeople,
        links: Links | None,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
    ) -> None:
        """Join everything; the file of the keys is made if there is none. Raises ``Misconfigured``."""
        self._own = own
        self._parts = parts
        self._devices = people.devices
        self.keys = VapidKeys.open_keys(push_keys_path(own, data), parts.clock.now_ms())
        self._hosts = PushHosts(own.push_hosts, loopback=own.push_local)
        self.pages = PushPages(
            self.keys, self._hosts, people.devices, people.contacts, links, buyer_of, metrics
        )

    def channel(self, addresses: Addresses) -> Pushing:
        """Make what sends; `addresses` are the pages that messages lead to."""
        own, parts = self._own, self._parts
        pusher = Pusher(
            self.keys, own.push_contact or "", self._hosts, parts.clock, patience_s=own.push_patience_s
        )
        return Pushing(pusher, self._devices, Notes(parts.catalogue, addresses), parts.clock)


def joined_push(
    settings: Settings,
    parts: ShopParts,
    people: JoinedPeople,
    tickets: JoinedTickets,
    buyer_of: Callable[[Scope], str],
    metrics: Metrics,
) -> JoinedPush | None:
    """Join everything, where the operator wants browsers to be told; None where not. Raises ``Misconfigured``."""
    own = chosen(settings)
    if own.push_contact is None:
        return None
    push = JoinedPush(own, settings.data, parts, people, tickets.links, buyer_of, metrics)
    tickets.pages.push = push.pages
    return push
