"""Metrics of the gate: what it decided, why, and how the origin behaved.

Labels come from closed sets: the rooms that are set up, and the words of ``gateway.decision``. ``gateway_shedding`` is
told by every process, whatever its role (``gateway.condition``).
"""

from prometheus_client import Counter, Gauge

from kernel.metrics import REGISTRY

DECISIONS = Counter(
    "gateway_decisions_total",
    "Requests by what the gate decided (pass, renew, open, wait, reject) and the reason's word.",
    ["room", "decision", "reason"],
    registry=REGISTRY,
)
ORIGIN_FAILURES = Counter(
    "gateway_origin_failures_total",
    "Requests that the origin left without a usable answer, by problem code.",
    ["room", "code"],
    registry=REGISTRY,
)
RENEWALS = Counter(
    "gateway_renewals_total",
    "Sessions that were due for a fresh token, by outcome (renewed, refused, failed, late).",
    ["room", "outcome"],
    registry=REGISTRY,
)
REVOCATIONS = Counter(
    "gateway_revocations_total",
    "Sessions that the origin ended by Cf-Waiting-Room-Command, by outcome (revoked, failed).",
    ["room", "outcome"],
    registry=REGISTRY,
)
SHEDDING = Gauge(
    "gateway_shedding",
    "1 while a process turns people away, or gives them less, at a limit; of any role.",
    ["limit"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
CLOCK_APART = Gauge(
    "gateway_store_clock_apart_seconds",
    "How far the store's clock and that of the operator's process are apart.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
HISTORY_PUT_OFF = Gauge(
    "gateway_history_put_off",
    "1 while old minutes of the history are not forgotten, because the clock is not believed.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
