"""Shop's judge: hands what orders ask about buyers to the fraud checks, and their verdicts back.

Devices are not told apart yet: what a browser says of itself is the same for everybody with the same phone, and a
person would have to look at each of them. An attempt to pay has the id of its order and number, so whatever is asked
twice counts once. Who pays was seen by the worker that the request came to; another worker that goes on with the
attempt knows the account and the card only.

Which limits, lists and countries there are stands in a file of its own (``WAITROOM_FRAUD``). Not here: the checks
(``checkout.fraud``), what follows from a verdict (``checkout.orders``).
"""

import tomllib
from collections import OrderedDict
from pathlib import Path

from checkout.fraud.service import Fraud
from checkout.fraud.settings import FraudSettings, fraud_of
from checkout.fraud.signals import Attempt as Paying
from checkout.fraud.windows import Answer
from checkout.metrics import Metrics
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Seen
from gateway.settings import env
from gateway.shop_parts import ShopParts
from kernel.errors import Misconfigured
from kernel.settings import read

SEEN_MOST = 10_000
_JUDGEMENTS = {Answer.ALLOW: Judgement.ALLOW, Answer.REVIEW: Judgement.REVIEW, Answer.BLOCK: Judgement.BLOCK}


SHARED_CARDS = ("card-accounts=off", "card-attempts=off")
"""The sandbox has a handful of cards, and everybody pays with them."""


def fraud_settings(path: Path | None, *, is_sandbox: bool) -> FraudSettings:
    """Read the file; without one, all as it comes. Raises ``Misconfigured`` with every fault."""
    table: dict[str, object] = {"fraud_limits": list(SHARED_CARDS)} if is_sandbox else {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misconfigured([f"{env('fraud')}: the file {path} cannot be read: {error}."]) from error
    return read(FraudSettings, {}, table)


class FraudJudge:
    """``checkout.orders.ports.Judge``."""

    def __init__(self, settings: FraudSettings, parts: ShopParts, secret: bytes, metrics: Metrics) -> None:
        """Join the checks; `secret` makes the pseudonyms under which people are counted."""
        self._fraud: Fraud = fraud_of(settings, parts.store, secret, parts.clock, metrics)
        self._seen: OrderedDict[tuple[str, int], Seen] = OrderedDict()

    async def before(self, order: Order, number: int, seen: Seen) -> Judgement:
        """Judge before the provider is asked."""
        self._seen[order.id, number] = seen
        if len(self._seen) > SEEN_MOST:
            self._seen.popitem(last=False)
        return await self._judge(order, number, "")

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Judge when the card is known."""
        return await self._judge(order, attempt.number, attempt.fingerprint)

    async def declined(self, order: Order, attempt: Attempt) -> None:
        """Note that a bank said no."""
        await self._fraud.declined(self._paying(order, attempt.number, attempt.fingerprint))

    async def run(self) -> None:
        """Look whether lists have changed, for ever."""
        await self._fraud.run()

    async def close(self) -> None:
        """Let go of the scorer's connections."""
        await self._fraud.close()

    async def _judge(self, order: Order, number: int, card: str) -> Judgement:
        verdict = await self._fraud.judge(self._paying(order, number, card))
        return _JUDGEMENTS[verdict.answer]

    def _paying(self, order: Order, number: int, card: str) -> Paying:
        seen = self._seen.get((order.id, number), Seen())
        return Paying(
            id=f"{order.id}:{number}",
            event=order.event,
            account=order.buyer,
            address=seen.address,
            traits=seen.device,
            card=card,
            amount=order.amount,
        )
