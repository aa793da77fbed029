"""Shop's people: what is kept of buyers, put together: keys, contacts, personal data, addresses, background.

Only where money is taken: without orders there is nobody whose tickets go anywhere. Nothing is decided here.
"""

from collections.abc import Awaitable, Callable, Sequence

from checkout.metrics import Metrics
from checkout.people.accounts import AccountPart, Accounts, bounds_of
from checkout.people.contacts import Contacts, Purging
from checkout.people.devices import Devices
from checkout.people.factors import Factors
from checkout.people.keys import PeopleKeys
from checkout.people.personal import Part, Personal
from checkout.people.rotating import strangers
from checkout.people.staff import StaffRole
from checkout.people.staff_people import DAY_MS, StaffPeople
from checkout.people.staff_sessions import StaffBounds, StaffSessions
from checkout.people.web import PeopleWeb
from checkout.site.account_pages import AccountPages
from checkout.site.contact_pages import ContactPages
from checkout.site.waiting_pages import WaitingPages
from checkout.site.words import languages
from checkout.waitlist.contacts import WaitlistContacts, WaitlistPart
from checkout.waitlist.contacts_web import WaitlistContactsWeb
from gateway.settings import Settings
from gateway.shop_parts import ShopParts
from gateway.shop_post import mail_resent, tickets_resent
from kernel.asgi import Scope
from kernel.errors import Misconfigured

CALLBACK = "/account/callback"


class ShopMails:
    """``organiser.support.Mails``: whose mail address it is, by its index."""

    def __init__(self, contacts: Contacts) -> None:
        self._contacts = contacts

    async def find_by_mail(self, event: str, address: str) -> Sequence[str]:
        """Name the orders of an event; what is no address is nobody's."""
        try:
            found = await self._contacts.find(address)
        except ValueError:
            return ()
        return [order for of, order in found if of == event]


def staff_bounds(settings: Settings) -> StaffBounds:
    """Read how long sessions of staff and the list of their logins last."""
    return StaffBounds(
        settings.staff_idle_min * 60_000,
        settings.staff_session_h * 3_600_000,
        settings.staff_logins_days * DAY_MS,
    )


class JoinedPeople:
    """One process's people."""

    def __init__(
        self,
        settings: Settings,
        parts: ShopParts,
        buyer_of: Callable[[Scope], str],
        metrics: Metrics,
        more: Sequence[Part] = (),
        site: str = "",
        tickets_of: Callable[[str, str], str] = lambda *_: "",
    ) -> None:
        """Join everything; the file of the keys is made if there is none. `more`: what other rooms keep of buyers.

        `site` is the address that fans type; `tickets_of` that of an order's tickets.
        """
        self._parts = parts
        self._path = settings.people_keys_path(settings.data)
        clock = parts.clock
        self.keys = PeopleKeys.open_keys(self._path, clock.now_ms())
        bounds = bounds_of(settings.account_idle_h, settings.account_days)
        kept = Accounts(parts.database, parts.shards, self.keys, clock, bounds)
        self.contacts = Contacts(parts.shards, self.keys, clock, metrics, kept.contact, tickets_resent(parts))
        self.waiting = WaitlistContacts(parts.shards, self.keys, clock, metrics, mail_resent(parts))
        self.devices = Devices(parts.shards, self.keys, clock, metrics)
        self.personal = Personal(
            parts.shards,
            self.contacts,
            [AccountPart(kept), WaitlistPart(self.waiting), self.devices, *more],
        )
        self.database = parts.database
        self.factors = Factors(parts.database, self.keys, clock)
        self.staff_people = StaffPeople(parts.database, self.keys, clock)
        self.staff_sessions = StaffSessions(
            parts.database, self.staff_people, clock, staff_bounds(settings),
            {word: StaffRole(role) for word, role in settings.roles_of_words.items()},
        )  # fmt: skip

        async def sweep() -> int:
            # Who waits for an event that has begun waits for nothing any more.
            over = await self._begun(clock.now_ms())
            swept = await kept.sweep() + await self.staff_sessions.sweep()
            return swept + await self.waiting.purge(over)

        self.mails = ShopMails(self.contacts)
        self.web = PeopleWeb(self.contacts, self.personal, buyer_of, languages().keys(), metrics)
        self.waiting_web = WaitlistContactsWeb(self.waiting, buyer_of, languages().keys(), metrics)
        self.pages = ContactPages(self.contacts, buyer_of, settings.contact_days)
        self.purging = Purging(parts.shards, self._begun, settings.contact_days, clock, metrics, sweep)
        self.accounts: AccountPages | None = None
        self._close: Callable[[], Awaitable[None]] | None = None
        if settings.has_accounts:
            # What asks others over HTTP is imported only where fans log in.
            from gateway.oidc_requests import OidcRequests  # noqa: PLC0415

            identity = OidcRequests(
                settings.oidc_issuer or "",
                settings.oidc_client_id or "",
                settings.oidc_client_secret or "",
                site.rstrip("/") + CALLBACK,
                clock,
            )
            self._close = identity.close
            self.accounts = AccountPages(
                kept, self.contacts, identity, parts.catalogue, buyer_of, clock, metrics,
                days=settings.account_days, secure=settings.secure, is_demo=not settings.takes_real_money,
                tickets_of=tickets_of, waiting=self.waiting,
            )  # fmt: skip
        self.waiting_pages = WaitingPages(
            self.waiting, buyer_of, None if self.accounts is None else self.accounts.who
        )

    async def close(self) -> None:
        """Let go of connections."""
        if self._close is not None:
            await self._close()

    def check(self) -> None:
        """See that the keys are those of the databases. Raises ``Misconfigured``."""
        self.keys.refresh()
        names = [key.name for key in self.keys.document.keys]
        databases = [self._parts.database, *(place.database for place in self._parts.shards.all())]
        if count := sum(strangers(own, names) for own in {id(own): own for own in databases}.values()):
            raise Misconfigured(
                [
                    f"{self._path}: {count} rows of the shop were sealed with keys that this file does not have."
                ]
            )

    async def _begun(self, until_ms: int) -> frozenset[str]:
        known = await self._parts.catalogue.all()
        return frozenset(one.event.id for one in known if one.event.starts_ms < until_ms)
