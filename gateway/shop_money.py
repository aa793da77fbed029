"""Shop's money: what is there only where money is taken: tills, the judge, tickets, people, and push.

Joined in this order, because each stands on those before. Imported by the shop only where it is needed: it asks others
over HTTP, and a shop without money starts without all that. Nothing is decided here.
"""

from collections.abc import Callable

from starlette.types import Scope

from admission.keyring import KeyRing
from checkout.metrics import Metrics
from gateway import shop_judge, shop_people, shop_push, shop_signals, shop_tickets, shop_tills
from gateway.deriving import secret_for
from gateway.settings import Settings
from gateway.shop_devices import DeviceCookie
from gateway.shop_parts import ShopParts


class Money:
    """Parts of a shop that takes money."""

    def __init__(
        self,
        settings: Settings,
        parts: ShopParts,
        ring: KeyRing,
        buyer_of: Callable[[Scope], str],
        cookie: DeviceCookie,
        metrics: Metrics,
    ) -> None:
        """Join them; nothing is asked yet. Raises ``Misconfigured``."""
        sid = ring.active("sid").octets
        account = shop_tills.account_of(settings, parts, metrics)
        rules = shop_judge.fraud_settings(settings.fraud, is_sandbox=settings.has_sandbox)
        self.judge = shop_judge.FraudJudge(rules, parts, secret_for(sid, "fraud"), metrics)
        self.tills = shop_tills.JoinedTills(
            settings,
            parts,
            account,
            buyer_of,
            metrics,
            self.judge,
            self.judge.cautions,
            cookie.device_of,
        )
        self.signals = shop_signals.Signals(self.judge.fraud, self.tills.seen_of, metrics)
        self.tickets = shop_tickets.JoinedTickets(
            settings, parts, self.tills, buyer_of, secret_for(sid, "tickets"), metrics
        )
        self.people = shop_people.JoinedPeople(
            settings, parts, buyer_of, metrics, site=settings.site, tickets_of=self.tickets.links.tickets
        )
        self.push = shop_push.joined_push(settings, parts, self.people, self.tickets, buyer_of, metrics)
