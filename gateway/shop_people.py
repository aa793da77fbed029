"""Shop's people: what is kept of buyers, put together: keys, contacts, personal data, addresses, background.

Only where money is taken: without orders there is nobody whose tickets go anywhere. Nothing is decided here.
"""

from collections.abc import Callable, Sequence

from checkout.metrics import Metrics
from checkout.people.contacts import Contacts, Purging
from checkout.people.keys import PeopleKeys
from checkout.people.personal import Part, Personal
from checkout.people.rotating import strangers
from checkout.people.web import PeopleWeb
from checkout.site.contact_pages import ContactPages
from checkout.site.words import languages
from gateway.settings import Settings
from gateway.shop_parts import ShopParts
from gateway.shop_post import tickets_resent
from kernel.asgi import Scope
from kernel.errors import Misconfigured


class JoinedPeople:
    """One process's people."""

    def __init__(
        self,
        settings: Settings,
        parts: ShopParts,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
        more: Sequence[Part] = (),
    ) -> None:
        """Join everything; the file of the keys is made if there is none. `more`: what other rooms keep of buyers."""
        self._parts = parts
        self._path = settings.people_keys_path(settings.data)
        self.keys = PeopleKeys.open_keys(self._path, parts.clock.now_ms())
        self.contacts = Contacts(parts.shards, self.keys, parts.clock, metrics, tickets_resent(parts))
        self.personal = Personal(parts.shards, self.contacts, more)
        self.web = PeopleWeb(self.contacts, self.personal, buyer_of, languages().keys(), metrics)
        self.pages = ContactPages(self.contacts, buyer_of, settings.contact_days)
        self.purging = Purging(parts.shards, self._begun, settings.contact_days, parts.clock, metrics)

    def check(self) -> None:
        """See that the keys are those of the databases. Raises ``Misconfigured``."""
        self.keys.refresh()
        names = [key.name for key in self.keys.document.keys]
        if count := sum(strangers(place.database, names) for place in self._parts.shards.all()):
            raise Misconfigured(
                [
                    f"{self._path}: {count} rows of the shop were sealed with keys that this file does not have."
                ]
            )

    async def _begun(self, until_ms: int) -> frozenset[str]:
        known = await self._parts.catalogue.all()
        return frozenset(one.event.id for one in known if one.event.starts_ms < until_ms)
