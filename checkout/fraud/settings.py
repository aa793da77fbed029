"""Settings of the fraud checks, and what is made of them. Read with the shop's own (``kernel.settings.read_all``)."""

from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from checkout.fraud import review
from checkout.fraud.geo import Geo
from checkout.fraud.lists import Lists
from checkout.fraud.ports import FraudMetrics
from checkout.fraud.rules import Policy
from checkout.fraud.scorer import HttpScorer
from checkout.fraud.service import Fraud
from checkout.fraud.signals import Pseudonyms
from checkout.fraud.store import WindowStore
from checkout.fraud.windows import Answer, read_limits
from kernel.clock import Clock
from kernel.errors import Misconfigured
from kernel.settings import setting

MILD = (Answer.ALLOW.value, Answer.REVIEW.value)
HARD = (Answer.REVIEW.value, Answer.BLOCK.value)


@dataclass(frozen=True, slots=True)
class FraudSettings:
    """What an operator sets."""

    fraud_limits: tuple[str, ...] = setting(
        default=(),
        help="changes to the limits, each name=most/seconds/review, name=most/seconds/block or name=off",
    )
    fraud_blocklist: Path | None = setting(  # noqa: RUF009 (a field, as dataclasses.field is)
        default=None, help="file with addresses, accounts, cards, devices, domains and countries to refuse"
    )
    fraud_allowlist: Path | None = setting(  # noqa: RUF009
        default=None, help="file with exceptions from the blocklist and the limits"
    )
    fraud_geoip: Path | None = setting(  # noqa: RUF009
        default=None, help="MaxMind DB file with countries; needs waitroom[geoip]"
    )
    fraud_geoip_asn: Path | None = setting(  # noqa: RUF009
        default=None, help="MaxMind DB file with autonomous systems; needs waitroom[geoip]"
    )
    fraud_countries: tuple[str, ...] = setting(
        default=(), help="countries that tickets are sold to, as GB,IE; none: all"
    )
    fraud_elsewhere: str = setting(
        default=Answer.BLOCK.value, choices=HARD, help="what follows in any other country"
    )
    fraud_nowhere: str = setting(
        default=Answer.REVIEW.value,
        choices=tuple(answer.value for answer in Answer),
        help="what follows for an address of which nobody knows the country, where countries are set",
    )
    fraud_scorer_url: str | None = setting(default=None, help="address of an external scorer")
    fraud_scorer_secret: str | None = setting(
        default=None, secret=True, help="secret that signs what the scorer gets, at least 16 bytes"
    )
    fraud_scorer_ms: int = setting(
        default=300, minimum=10, maximum=5_000, help="time that a sale waits for the scorer"
    )
    fraud_scorer_address: bool = setting(
        default=False, help="send whole addresses to the scorer, not only their network"
    )
    fraud_scorer_away: str = setting(
        default=Answer.REVIEW.value, choices=MILD, help="what follows when the scorer does not answer"
    )
    fraud_review_ratio: float = setting(
        default=0.7, minimum=0, maximum=1, help="score from which a person looks at a payment"
    )
    fraud_block_ratio: float | None = setting(
        default=None, minimum=0, maximum=1, help="score from which a payment is refused; none: never"
    )
    fraud_store_ms: int = setting(
        default=500, minimum=10, maximum=5_000, help="time that a sale waits for the store's counts"
    )
    fraud_store_away: str = setting(
        default=Answer.ALLOW.value, choices=MILD, help="what follows when the store does not answer"
    )
    fraud_lapse: str = setting(
        default=review.Decision.REFUSE.value,
        choices=tuple(decision.value for decision in review.Decision),
        help="what follows when nobody has decided about a payment in time",
    )
    fraud_margin_s: int = setting(
        default=900, minimum=0, maximum=86_400, help="so long before the last moment a review lapses"
    )
    fraud_authorised_s: int = setting(
        default=review.AUTHORISED_MS // 1_000,
        minimum=3_600,
        maximum=30 * 86_400,
        help="so long after a try began its authorisation is relied on, less than the provider's shortest",
    )
    fraud_seats_per_card: int = setting(
        default=0,
        minimum=0,
        maximum=1_000,
        help="seats of one event that one card pays for, whoever has it; 0: as many as it likes",
    )

    def __post_init__(self) -> None:
        """Check what belongs together. Raises ``Misconfigured`` with every fault."""
        faults: list[str] = []
        try:
            read_limits(self.fraud_limits)
        except Misconfigured as error:
            faults += error.faults
        faults += [
            f"The country {country!r} must be two capital letters, as GB."
            for country in self.fraud_countries
            if not (len(country) == 2 and country.isascii() and country.isupper())
        ]
        if self.fraud_countries and self.fraud_geoip is None:
            faults.append("Countries are set, but no MaxMind DB file that tells them apart (fraud_geoip).")
        if self.fraud_scorer_url is not None and self.fraud_scorer_secret is None:
            faults.append("The scorer's address needs a secret (fraud_scorer_secret).")
        if self.fraud_margin_s >= self.fraud_authorised_s:
            faults.append("A review lapses before it begins: fraud_margin_s is not below fraud_authorised_s.")
        if self.fraud_block_ratio is not None and self.fraud_block_ratio < self.fraud_review_ratio:
            faults.append("A score is refused from a lower one on than it is looked at.")
        if faults:
            raise Misconfigured(faults)


def policy_of(settings: FraudSettings) -> Policy:
    """Make the policy."""
    return Policy(
        limits=read_limits(settings.fraud_limits),
        served=frozenset(settings.fraud_countries),
        elsewhere=Answer(settings.fraud_elsewhere),
        nowhere=Answer(settings.fraud_nowhere),
        review_from=settings.fraud_review_ratio,
        block_from=settings.fraud_block_ratio,
        scorer_away=Answer(settings.fraud_scorer_away),
        store_away=Answer(settings.fraud_store_away),
    )


def terms_of(settings: FraudSettings) -> review.Terms:
    """Make the terms of reviews."""
    return review.Terms(
        settings.fraud_margin_s * 1_000,
        review.Decision(settings.fraud_lapse),
        settings.fraud_authorised_s * 1_000,
    )


def fraud_of(
    settings: FraudSettings, client: Redis, secret: bytes, clock: Clock, metrics: FraudMetrics
) -> Fraud:
    """Join everything. `secret` makes the pseudonyms. Raises ``Misconfigured`` with the faults of all files."""
    faults: list[str] = []
    geo: Geo | None = None
    lists: Lists | None = None
    scorer: HttpScorer | None = None
    try:
        if settings.fraud_geoip is not None or settings.fraud_geoip_asn is not None:
            geo = Geo(metrics, places=settings.fraud_geoip, systems=settings.fraud_geoip_asn)
    except Misconfigured as error:
        faults += error.faults
    try:
        if settings.fraud_blocklist is not None or settings.fraud_allowlist is not None:
            lists = Lists(metrics, block=settings.fraud_blocklist, allow=settings.fraud_allowlist)
    except Misconfigured as error:
        faults += error.faults
    try:
        if settings.fraud_scorer_url is not None:
            key = (settings.fraud_scorer_secret or "").encode()
            scorer = HttpScorer(settings.fraud_scorer_url, key, clock, timeout_ms=settings.fraud_scorer_ms)
    except Misconfigured as error:
        faults += error.faults
    if faults:
        raise Misconfigured(faults)
    return Fraud(
        WindowStore(client),
        Pseudonyms(secret),
        policy_of(settings),
        metrics,
        geo=geo,
        lists=lists,
        scorer=scorer,
        with_address=settings.fraud_scorer_address,
        store_ms=settings.fraud_store_ms,
    )
