"""Metrics of the line. Labels come from closed sets; rooms are few and set by the operator."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from kernel.metrics import REGISTRY, Tally


class Metrics:
    """What the line counts. Hot paths count in tallies, flushed each tick."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Register everything."""
        self.joined = Tally(
            Counter(
                "waitroom_line_joined", "Joins answered with a number, repeats included", registry=registry
            )
        )
        self.batches = Tally(
            Counter("waitroom_line_join_batches", "Calls of the store that carried joins", registry=registry)
        )
        self.documents = Tally(
            Counter(
                "waitroom_line_status_documents", "Status documents given to whoever asked", registry=registry
            )
        )
        self.refused = Counter("waitroom_line_refused", "Requests refused", ["reason"], registry=registry)
        self.carries = Counter(
            "waitroom_line_carries", "Steps of places on their way to another device", ["outcome"],
            registry=registry,
        )  # fmt: skip
        self.issued = Gauge(
            "waitroom_line_issued_numbers", "Numbers given in the current run", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.waiting = Gauge(
            "waitroom_line_waiting_visitors", "Numbers not yet called", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.serving = Gauge(
            "waitroom_line_serving_rank", "Threshold below which ranks are called", ["room", "lane"],
            registry=registry, multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.epoch = Gauge(
            "waitroom_line_epoch", "How often the line was opened or put back", ["room"], registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self.age = Gauge(
            "waitroom_line_reading_age_seconds", "Age of this worker's last reading of the store", ["room"],
            registry=registry, multiprocess_mode="max",
        )  # fmt: skip
