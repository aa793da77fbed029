"""A moved event's messages go along: what waits is sent from where the event is, and from nowhere else."""

from typing import Any

from prometheus_client import CollectorRegistry

from checkout.metrics import Metrics
from checkout.notifications.relay import Relay
from checkout.shards.moving import Step
from gateway.shop_post import ShopHomes
from kernel.clock import ManualClock
from tests.checkout.moves import Crane, with_past
from tests.checkout.notifications.posting import Noting
from tests.checkout.sharded import AT_A, fleet


async def test_a_message_that_waits_is_sent_from_the_event_s_new_home(
    shop_urls: tuple[str, str, str], store_urls: tuple[str, str], clock: ManualClock
) -> None:
    """While the event is on its way nobody sends, however often somebody looks; then the new home does, once."""
    async with fleet(shop_urls, store_urls, clock) as shop:
        await with_past(shop, AT_A)
        channel, homes = Noting(), ShopHomes(shop.shards)
        relay = Relay(homes, (channel,), clock, Metrics(CollectorRegistry()), lambda: 0.0)
        looked: list[Step] = []
        sent: dict[str, Any] = {}

        async def look() -> None:
            for home in homes.all():
                before = len(channel.noted)
                await relay.pass_by(home, channel)
                if len(channel.noted) > before:
                    sent[home.name] = channel.noted[before:]

        class Watched(Crane):
            """A move at which somebody looks at the outboxes before each wait."""

            def mover(self, shards: Any = None) -> Any:
                """Look whenever the mover rests."""
                mover = super().mover(shards)
                rest = mover._rest

                async def resting(seconds: float) -> None:
                    looked.append(Step.WAIT)
                    await look()
                    await rest(seconds)

                mover._rest = resting
                return mover

        await Watched(shop).move(AT_A, "b")
        on_the_way = dict(sent)
        shop.shards.read()
        await look()
        await look()

    assert looked
    assert on_the_way == {}
    assert sent == {"b": [f"order-paid.O1{AT_A}"]}
