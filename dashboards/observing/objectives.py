"""Objectives: what the waiting room and the shop promise, as numbers, and the alerts on how fast a budget burns.

A refusal is an answer: who asks for what cannot be had was told so. What counts as bad is a request that nobody
answered, or answered too late. Windows and factors are those of Google's SRE workbook, chapter "Alerting on SLOs":
14.4 times the budget over an hour is 2 % of a month's budget in that hour, 6 times over six hours 5 %, and once over
three days 10 %; the short window lets an alert end soon after its cause. A burn needs ``LEAST`` failures as well: at
night one failure of five requests is no reason to wake anybody.
"""

from dataclasses import dataclass

from dashboards.observing.shapes import Alert, Objective, Severity

LEAST = 10
_NO_PLACE = "room-full|room-not-open|room-over|room-sold-out|too-many-joins"
"""Refusals that only a join gets; without them the few that failed were all, once a room is full."""

OBJECTIVES = (
    Objective(
        slo="joins",
        title="Joins are answered",
        target=0.999,
        told="Whoever asks for a place gets a number, or hears why not.",
        bad='sum(rate(waitroom_line_failed_total{act="join"}[$w]))',
        total="(sum(rate(waitroom_line_joined_total[$w]))"
        f' + (sum(rate(waitroom_line_refused_total{{code=~"{_NO_PLACE}"}}[$w])) or vector(0))'
        ' + sum(rate(waitroom_line_failed_total{act="join"}[$w])))',
        failing=('waitroom_line_failed_total{act="join"}',),
        going=("waitroom_line_joined_total",),
        look="the store: `waitroom_line_reading_age_seconds`, then its own log and memory",
    ),
    Objective(
        slo="status",
        title="The status document is served",
        target=0.9995,
        told="Waiting pages get the signed document; an old one with its age counts, none does not.",
        bad='sum(rate(waitroom_line_failed_total{act="status"}[$w]))',
        total="(sum(rate(waitroom_line_status_documents_total[$w]))"
        ' + sum(rate(waitroom_line_failed_total{act="status"}[$w])))',
        failing=('waitroom_line_failed_total{act="status"}',),
        going=("waitroom_line_status_documents_total",),
        look="whether a room is being put back: `journalctl` or the containers' log, words `the journal knows more`",
    ),
    Objective(
        slo="claims",
        title="Claims are answered",
        target=0.999,
        told="Whoever is called and takes the turn is admitted, or hears when to ask again.",
        bad='sum(rate(waitroom_admission_store_away_total{act="claim"}[$w]))',
        total="sum(rate(waitroom_admission_claim_seconds_count[$w]))",
        failing=('waitroom_admission_store_away_total{act="claim"}',),
        going=("waitroom_admission_claim_seconds_count",),
        look="the store, as for joins; the admitted are not hurt, their papers are checked without it",
    ),
    Objective(
        slo="admission-time",
        title="Claims are answered within half a second",
        target=0.99,
        told="The turn is a moment, not another wait.",
        bad="(sum(rate(waitroom_admission_claim_seconds_count[$w]))"
        ' - sum(rate(waitroom_admission_claim_seconds_bucket{le="0.5"}[$w])))',
        total="sum(rate(waitroom_admission_claim_seconds_count[$w]))",
        failing=(),
        going=("waitroom_admission_claim_seconds_count", 'waitroom_admission_claim_seconds_bucket{le="0.5"}'),
        look="how busy the machine and the store are: too few workers, or a store that swaps or writes its file",
    ),
    Objective(
        slo="origin",
        title="The site answers the admitted",
        target=0.995,
        told="Who was let in gets an answer of the site behind, and not a page that says it is away.",
        bad="(sum(rate(gateway_origin_failures_total[$w])) or vector(0))",
        total='sum(rate(gateway_decisions_total{decision=~"pass|renew|open"}[$w]))',
        failing=('gateway_origin_failures_total{room="main",code="origin-unreachable"}',),
        going=('gateway_decisions_total{decision="pass",room="main",reason="admitted"}',),
        look="the site behind: `sum by (code) (rate(gateway_origin_failures_total[5m]))` says away, slow or broken off",
    ),
    Objective(
        slo="payments",
        title="Tries to pay are answered, and what was promised is taken",
        target=0.999,
        told="Paid, declined or still being made are answers; nobody-knows is not, and neither is money that we "
        "could not take after the seats were sold.",
        bad='(sum(rate(waitroom_shop_payments_total{outcome="away"}[$w]))'
        ' + sum(rate(waitroom_shop_orders_total{outcome="failed"}[$w])))',
        total="sum(rate(waitroom_shop_payments_total[$w]))",
        failing=(
            'waitroom_shop_payments_total{outcome="away"}',
            'waitroom_shop_orders_total{outcome="failed"}',
        ),
        going=('waitroom_shop_payments_total{outcome="answered"}',),
        look="the shop's database first, then the provider's breaker `waitroom_shop_provider_breaker`",
    ),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget may burn before somebody hears of it."""

    name: str
    factor: float
    long: str
    short: str
    lasts: str
    severity: Severity
    spent: str


BURNS = (
    Burn(
        "WaitroomBudgetBurnsFast", 14.4, "1h", "5m", "2m", Severity.PAGE, "2 % of a month's budget in an hour"
    ),
    Burn("WaitroomBudgetBurns", 6, "6h", "30m", "15m", Severity.PAGE, "5 % of a month's budget in six hours"),
    Burn(
        "WaitroomBudgetBurnsSlowly",
        1,
        "3d",
        "6h",
        "1h",
        Severity.TICKET,
        "10 % of a month's budget in three days",
    ),
)
WINDOWS = tuple(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))
RATIO, INCREASE, BUDGET = (
    "waitroom:failures:ratio_rate",
    "waitroom:failures:increase",
    "waitroom:budget:ratio",
)


def ratio(objective: Objective, window: str) -> str:
    """Write the part of all that failed within a window; nothing while nobody asks."""
    return f"{objective.bad} / ({objective.total} > 0)".replace("$w", window)


def increase(objective: Objective, window: str, seconds: int) -> str:
    """Write how many failed within a window."""
    return f"{objective.bad} * {seconds}".replace("$w", window)


def _alert(burn: Burn) -> Alert:
    limit = f"{burn.factor:g} * {BUDGET}"
    return Alert(
        name=burn.name,
        expr=f"{RATIO}{burn.long} > on (slo) ({limit})\n"
        f"and on (slo) {RATIO}{burn.short} > on (slo) ({limit})\n"
        f"and on (slo) {INCREASE}{burn.long} >= {LEAST}",
        lasts=burn.lasts,
        severity=burn.severity,
        summary=f"The objective {{{{ $labels.slo }}}} burns {burn.spent}",
        means=f"Over the last {burn.long}, and still over the last {burn.short}, more requests failed than "
        f"{burn.factor:g} times what the objective allows. The label `slo` says which; the targets stand in "
        "[observability](../observability.md).",
        fans="`joins`: a page that says it tries again. `status`: a wait without news. `claims`, `admission-time`: a "
        "turn that does not open. `origin`: a page that says the site is away. `payments`: an order whose end nobody "
        "tells. Nobody loses a place by any of them.",
        look=(
            *(f"`{one.slo}`: {one.look}." for one in OBJECTIVES),
            "The board *Objectives*: which one burns, since when, and how much is left of the month.",
            "`curl http://127.0.0.1:8081/health/ready`: what the operator's process says of itself.",
        ),
        do=(
            "Look whether another alert fires beside this one: it names a cause, and its page says what to do.",
            "After a change of ours, a version or a setting of a room: take it back.",
            "While the site behind is overrun: call fewer people, "
            "`curl -H \"$AUTH\" -H 'If-Match: \"3\"' -X PATCH -H 'Content-Type: application/json' "
            "-d '{\"new_users_per_minute\": 300}' http://127.0.0.1:8081/api/rooms/main`.",
        ),
        escalate="Page: nothing found in 15 minutes, or half of the month's budget gone. Ticket: it fires for a week.",
        after="75m",
    )


BURN_ALERTS = tuple(_alert(burn) for burn in BURNS)
