"""Cost: what a place in the line is worth to somebody who resells tickets, against what a fake place costs.

A fake place pays when it brings more than it costs. It brings its chance of getting through, times the tickets that
one order may have, times what is left of a resale price after the fee and the face value. It costs what each setting
of a room makes a program pay for one more place: traffic through somebody's household, work, a check, an account.

All prices are inputs in one currency; the defaults are US dollars, and where each comes from stands in
docs/bots-cost.md. Pure arithmetic, and deliberately kind to the reseller: no risk, no time, no salary. Not here: what
a setting does.
"""

from dataclasses import dataclass, fields

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Market:
    """A sale: prices of a ticket, and how many want how few. `share` is the part of all tickets that is wanted."""

    face: float = 80.0
    resale: float = 160.0
    fee: float = 0.31
    per_order: int = 4
    tickets: int = 10_000
    places: int = 50_000
    share: float = 0.1


@dataclass(frozen=True, slots=True)
class Prices:
    """What a program pays: traffic per GB and place, work per second and hour, a check, accounts."""

    proxy_gb: float = 5.0
    place_kb: float = 100.0
    work_s: float = 2.0
    cpu_hour: float = 0.05
    check: float = 0.00299
    mail: float = 0.005
    phone: float = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """A setting, and what it makes of the business. `places_most`: beyond so many honest places none pays."""

    setting: str
    place: float
    outlay: float
    take: float
    places_most: float

    @property
    def factor(self) -> float:
        """What a unit of money brings back."""
        return self.take / self.outlay if self.outlay else float("inf")

    @property
    def pays(self) -> bool:
        """Whether it is a business."""
        return self.take > self.outlay


def margin(market: Market) -> float:
    """Return what is left of a resold ticket; never less than nothing, because nobody must resell."""
    return max(0.0, market.resale * (1 - market.fee) - market.face)


def chance(market: Market) -> float:
    """Return the part of the places that gets to buy, if each buys all it may."""
    return min(1.0, market.tickets / (market.places * market.per_order))


def worth(market: Market) -> float:
    """Return what one more place brings on average."""
    return chance(market) * market.per_order * margin(market)


def fakes(market: Market) -> float:
    """Return the fake places that get `share` of all tickets, beside the honest ones."""
    return market.places * market.share / (1 - market.share)


def of_settings(prices: Prices) -> dict[str, float]:
    """Return what one more place costs under each setting, the cheapest first."""
    traffic = prices.place_kb / 1_000_000 * prices.proxy_gb
    work = traffic + prices.work_s * prices.cpu_hour / SECONDS_PER_HOUR
    check = traffic + prices.check
    return {
        "nothing is asked": traffic,
        "`challenge` work, of everybody": work,
        "`challenge` of a provider, of everybody": check,
        '`identity = "mail"`': traffic + prices.mail,
        '`identity = "mail"` and a provider\'s check': check + prices.mail,
        '`identity = "oidc"`, accounts that stand on a telephone number': traffic + prices.phone,
    }


def table(market: Market, prices: Prices) -> list[Row]:
    """Return a row for each setting whose price can be named; a code's cannot: it is what its owner wants for it."""
    most = market.tickets * margin(market)
    return [
        Row(
            setting,
            place,
            fakes(market) * place,
            market.share * most,
            most / place if place else float("inf"),
        )
        for setting, place in of_settings(prices).items()
    ]


def faults(market: Market, prices: Prices) -> list[str]:
    """Name the inputs that make no sense."""
    found = [
        f"--{field.name.replace('_', '-')} must not be below nothing."
        for given in (market, prices)
        for field in fields(given)
        if not getattr(given, field.name) >= 0
    ]
    if not 0 < market.share < 1:
        found.append("--share must be between 0 and 1.")
    if not market.fee <= 1:
        found.append("--fee must be between 0 and 1.")
    found += [
        f"--{name.replace('_', '-')} must be at least 1."
        for name in ("per_order", "tickets", "places")
        if getattr(market, name) < 1
    ]
    return found


def told(market: Market, prices: Prices) -> list[str]:
    """Write the table as Markdown, which reads as it stands."""
    head = [
        f"A ticket of {market.face:,.2f} that is resold at {market.resale:,.2f} leaves {margin(market):,.2f} after "
        f"{market.fee:.0%} of fees.",
        f"{market.tickets:,} tickets, {market.per_order} in an order, {market.places:,} places: one in "
        f"{1 / chance(market):,.1f} gets through, so a place brings {worth(market):,.2f}.",
        f"{market.share:.0%} of all tickets take {fakes(market):,.0f} fake places.",
        "",
        "| setting | a fake place | all of them | they bring | for each 1.00 | no longer pays beyond |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {row.setting} | {row.place:,.5f} | {row.outlay:,.2f} | {row.take:,.2f} | {row.factor:,.1f} "
        f"| {row.places_most:,.0f} places |"
        for row in table(market, prices)
    ]
    last = (
        '| `identity = "code"` | what its owner asks | – | – | – | there are as many as were made; an owner who '
        f"sells may ask up to {worth(market):,.2f} |"
    )
    return [*head, *rows, last]
