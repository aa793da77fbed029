"""Shop's judge: hands what orders ask about buyers to the fraud checks, and their verdicts back.

A device is the shop's own cookie; who keeps none is no device, and shares none with others: what a browser says of
itself is the same for everybody with the same phone. An attempt to pay has the id of its order and number, so whatever
is asked twice counts once. Who pays was seen by the worker that the request came to; another worker that goes on with
the attempt knows the account and the card only. What speaks against a try is written down for whoever looks at it.

Which limits, lists and countries there are stands in a file of its own (``WAITROOM_FRAUD``). Not here: the checks
(``checkout.fraud``), what follows from a verdict (``checkout.orders``).
"""

import tomllib
from collections import OrderedDict
from pathlib import Path

from checkout.fraud.rules import Verdict
from checkout.fraud.service import Fraud
from checkout.fraud.settings import FraudSettings, fraud_of, terms_of
from checkout.fraud.signals import Attempt as Paying
from checkout.fraud.windows import Answer
from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.orders.order import Attempt, Order
from checkout.orders.ports import Judgement, Seen
from checkout.orders.review import Cautions
from checkout.orders.verdict_rows import Stage, put_verdict
from gateway.shop_parts import ShopParts
from kernel.errors import Misconfigured, Unavailable
from kernel.settings import env, read

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
        self.fraud: Fraud = fraud_of(settings, parts.store, secret, parts.clock, metrics)
        self.cautions = Cautions(terms_of(settings), settings.fraud_seats_per_card)
        self._parts, self._metrics = parts, metrics
        self._groups: dict[str, Grouping] = {}
        self._seen: OrderedDict[tuple[str, int], Seen] = OrderedDict()

    async def before(self, order: Order, number: int, seen: Seen) -> Judgement:
        """Judge before the provider is asked."""
        self._seen[order.id, number] = seen
        if len(self._seen) > SEEN_MOST:
            self._seen.popitem(last=False)
        return await self._judge(order, number, "", Stage.BEFORE)

    async def after(self, order: Order, attempt: Attempt) -> Judgement:
        """Judge when the card is known."""
        return await self._judge(order, attempt.number, attempt.fingerprint, Stage.AFTER)

    async def declined(self, order: Order, attempt: Attempt) -> None:
        """Note that a bank said no."""
        await self.fraud.declined(self._paying(order, attempt.number, attempt.fingerprint))

    def country(self, address: str) -> str:
        """Tell the country of an address, '' where no file knows."""
        return self.fraud.country(address)

    async def run(self) -> None:
        """Look whether lists have changed, for ever."""
        await self.fraud.run()

    async def close(self) -> None:
        """Let go of the scorer's connections."""
        await self.fraud.close()

    async def _judge(self, order: Order, number: int, card: str, stage: Stage) -> Judgement:
        verdict = await self.fraud.judge(self._paying(order, number, card))
        if verdict.reasons:
            await self._write_down(order, number, stage, verdict)
        return _JUDGEMENTS[verdict.answer]

    async def _write_down(self, order: Order, number: int, stage: Stage, verdict: Verdict) -> None:
        """Write down why, for whoever looks at the order; a sale does not stop because that is not possible."""
        told = {
            "score": verdict.score,
            "browser": self._seen.get((order.id, number), Seen()).traits or None,
            "reasons": [
                {"reason": one.word, "answer": one.answer.value, "detail": one.detail}
                for one in verdict.reasons
            ],
        }
        now_ms, answer = self._parts.clock.now_ms(), verdict.answer.value
        try:
            place = self._parts.shards.of(order.event)
            group = self._groups.setdefault(place.name, Grouping(place.database))
            await group.write(
                lambda connection: put_verdict(connection, order, number, stage, answer, told, now_ms)
            )
        except Unavailable:
            self._metrics.fraud_without.count("record")

    def _paying(self, order: Order, number: int, card: str) -> Paying:
        seen = self._seen.get((order.id, number), Seen())
        return Paying(
            id=f"{order.id}:{number}",
            event=order.event,
            account=order.buyer,
            address=seen.address,
            device=seen.device,
            card=card,
            amount=order.amount,
        )
