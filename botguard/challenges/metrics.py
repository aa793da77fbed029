"""Metrics of the challenges. Labels come from closed sets."""

from prometheus_client import CollectorRegistry, Counter

from kernel.metrics import REGISTRY


class Metrics:
    """What the challenges count."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""
        self.issued = Counter(
            "waitroom_challenges_issued", "Challenges given out, by way", ["way"], registry=registry
        )
        self.easier = Counter(
            "waitroom_challenges_easier",
            "Challenges that a slow device gave back for an easier one, by what came of it",
            ["outcome"],
            registry=registry,
        )
        self.answered = Counter(
            "waitroom_challenges_answered",
            "Answers to challenges, by way and by what came of them",
            ["way", "outcome"],
            registry=registry,
        )
        self.instead = Counter(
            "waitroom_challenges_work_instead",
            "Work given where the room wants a provider, by why",
            ["reason"],
            registry=registry,
        )
