"""Metrics of the door. Labels come from closed sets; rooms are few and set by the operator."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kernel.metrics import REGISTRY, Tally

CLAIM_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """What the door counts. Claims come by the thousand, so they are tallied."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""
        self._claims = Counter(
            "waitroom_admission_claims", "Claims by what came of them", ["room", "outcome"], registry=registry
        )
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.claim_time = Histogram(
            "waitroom_admission_claim_seconds", "Time in which claims were answered, refusals included",
            registry=registry, buckets=CLAIM_BUCKETS_S,
        )  # fmt: skip
        self.granted = Counter(
            "waitroom_admission_granted", "Turns given to those at the door", ["room"], registry=registry
        )
        self.ended = Counter(
            "waitroom_admission_ended", "Sessions ended before their time", ["room", "why"], registry=registry
        )
        self.renewals = Counter(
            "waitroom_admission_renewals",
            "Renewals by what came of them",
            ["room", "outcome"],
            registry=registry,
        )
        self.refused_tokens = Counter(
            "waitroom_admission_refused_tokens", "Tokens not accepted", ["reason"], registry=registry
        )
        self.proofs = Counter(
            "waitroom_admission_proofs",
            "Proofs of a place's key by what came of them",
            ["room", "outcome"],
            registry=registry,
        )
        self.bypassed = Counter(
            "waitroom_admission_bypassed",
            "Bypass tokens shown, by what came of them",
            ["room", "outcome"],
            registry=registry,
        )
        self.store_away = Counter(
            "waitroom_admission_store_away", "Acts that the store could not take", ["act"], registry=registry
        )
        for act in ("claim", "renew"):
            self.store_away.labels(act)
        self.sessions = Gauge(
            "waitroom_admission_sessions", "Places taken", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.at_the_door = Gauge(
            "waitroom_admission_at_the_door_visitors", "Called fans over the budget", ["room", "class"],
            registry=registry, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.show_ratio = Gauge(
            "waitroom_admission_show_ratio", "Estimated part of the called who come", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip

    def claimed(self, room: str, outcome: str) -> None:
        """Count one claim."""
        tally = self._tallies.get((room, outcome))
        if tally is None:
            tally = self._tallies[room, outcome] = Tally(self._claims.labels(room, outcome))
        tally.count += 1
