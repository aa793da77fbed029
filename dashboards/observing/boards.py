"""Boards: what Grafana shows of the line, the shop and the objectives.

Counters are shown as rates, gauges as they are; a gauge that every process tells is the highest of them. Nothing here
is by fan, order or event: labels are closed sets.
"""

from dashboards.observing.objectives import BUDGET, OBJECTIVES, RATIO
from dashboards.observing.shapes import Board, Panel, Query

_I = "[$__rate_interval]"


def _rate(metric: str, *by: str, sold: bool = True) -> Query:
    """Show how often something happens in a second."""
    inner = f"rate({metric}{_I})"
    grouped = f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"
    return Query(grouped, " ".join(f"{{{{{label}}}}}" for label in by), sold)


def _most(metric: str, *by: str, sold: bool = True) -> Query:
    """Show the highest of what processes tell."""
    grouped = f"max by ({', '.join(by)}) ({metric})" if by else f"max({metric})"
    return Query(grouped, " ".join(f"{{{{{label}}}}}" for label in by), sold)


def _quantile(q: float) -> Query:
    buckets = f"sum by (le) (rate(waitroom_admission_claim_seconds_bucket{_I}))"
    return Query(f"histogram_quantile({q}, {buckets})", f"p{round(q * 100)}")


LINE = Board(
    "waitroom-line",
    "Waitroom: the line",
    "Who joins, waits, is called and gets in; and what keeps the gate from its work.",
    (
        Panel("Waiting", "short", "Numbers not yet called.", (_most("waitroom_line_waiting_visitors", "room"),),
              is_number=True),
        Panel("Inside", "short", "Places of the site that are taken; the limit is `total_active_users`.",
              (_most("waitroom_admission_sessions", "room"),), is_number=True),
        Panel("Calling", "short", "1 while a room calls people, 0 while it gathers, is paused or over.",
              (_most("waitroom_line_calling", "room"),), is_number=True),
        Panel("Joins", "reqps", "Numbers given in a second, repeats included.",
              (_rate("waitroom_line_joined_total"),)),
        Panel("Claims", "reqps", "Tries to take the turn, by what came of them; next are those at the door.",
              (_rate("waitroom_admission_claims_total", "outcome"),)),
        Panel("Time to answer a claim", "s", "The objective is half a second for 99 of 100.",
              (_quantile(0.5), _quantile(0.95), _quantile(0.99))),
        Panel("Thresholds", "short", "Ranks below it are called, by lane; it moves as long as the room calls.",
              (_most("waitroom_line_serving_rank", "room", "lane"),)),
        Panel("At the door", "short", "Called people over the budget of admissions; more than a minute's worth is "
              "a pace that is too high for those who come.",
              (_most("waitroom_admission_at_the_door_visitors", "room", "class", sold=False),)),
        Panel("Part of the called who come", "percentunit", "Estimated; the pace calls more where fewer come.",
              (_most("waitroom_admission_show_ratio", "room", sold=False),)),
        Panel("Status documents", "reqps", "Given out by the workers; a cache in front keeps this flat.",
              (_rate("waitroom_line_status_documents_total"),)),
        Panel("Requests at the gate", "reqps", "By what was decided.", (_rate("gateway_decisions_total", "decision"),)),
        Panel("The site does not answer", "reqps", "Requests that the site left without a usable answer, by why.",
              (_rate("gateway_origin_failures_total", "code", sold=False),)),
        Panel("Refused", "reqps", "By the problem's code; what each means stands in docs/errors.md.",
              (_rate("waitroom_line_refused_total", "code", sold=False),)),
        Panel("Not answered", "reqps", "Requests of the line that failed, by what was asked. Zero is normal.",
              (_rate("waitroom_line_failed_total", "act"),)),
        Panel("Age of what workers know", "s", "Below a second while the store answers.",
              (_most("waitroom_line_reading_age_seconds", "room"),)),
        Panel("Age of the journal", "s", "Time since everything was written down; about half a second is normal.",
              (_most("waitroom_line_journal_age_seconds"),)),
        Panel("Limits that are hit", "short", "1 while a process turns people away, or gives them less.",
              (_most("gateway_shedding", "limit"),)),
        Panel("Bot guard", "reqps", "Joins by verdict, where a room looks.",
              (_rate("waitroom_bots_judged_total", "verdict", sold=False),)),
        Panel("Events out", "short", "Entries of the journal that a target has still before it; falls by itself.",
              (_most("waitroom_events_behind_entries", "target", sold=False),)),
        Panel("Renewals", "reqps", "Sessions that got more time, by what came of it.",
              (_rate("waitroom_admission_renewals_total", "outcome", sold=False),)),
    ),
)  # fmt: skip

SHOP = Board(
    "waitroom-shop",
    "Waitroom: the shop",
    "What is held, paid and given up; money; and what runs behind it.",
    (
        Panel("Tickets in a second", "short", "Tickets made for what was paid.",
              (_rate("waitroom_shop_tickets_total"),), is_number=True),
        Panel("Conversion", "percentunit", "Of the holds that ended in the last hour, how many were paid.",
              (Query('sum(increase(waitroom_shop_funnel_total{step="paid"}[1h]))'
                     ' / (sum(increase(waitroom_shop_funnel_total{step=~"paid|abandoned"}[1h])) > 0)'),),
              is_number=True),
        Panel("Abandonment", "percentunit", "Of the holds that ended in the last hour, how many ended without a sale.",
              (Query('sum(increase(waitroom_shop_funnel_total{step="abandoned"}[1h]))'
                     ' / (sum(increase(waitroom_shop_funnel_total{step=~"paid|abandoned"}[1h])) > 0)'),),
              is_number=True),
        Panel("The way of a hold", "short", "Each hold once in each step.",
              (_rate("waitroom_shop_funnel_total", "step"),)),
        Panel("Tickets, in all", "short", "Since the installation was started last; the sales report has all.",
              (Query("sum(waitroom_shop_tickets_total)"),)),
        Panel("Wishes for seats", "reqps", "By what came of them; taken is somebody who was slower.",
              (_rate("waitroom_shop_holds_total", "outcome"),)),
        Panel("Orders", "reqps", "By what became of them.", (_rate("waitroom_shop_orders_total", "outcome"),)),
        Panel("Tries to pay", "reqps", "Answered, or away where nobody could say what came of it.",
              (_rate("waitroom_shop_payments_total", "outcome"),)),
        Panel("Declined by banks", "reqps", "By reason; many reasons at once are cards that are tried out.",
              (_rate("waitroom_shop_declined_payments_total", "reason", sold=False),)),
        Panel("Calls of providers", "reqps", "By what came of them.",
              (_rate("waitroom_shop_provider_calls_total", "provider", "outcome"),)),
        Panel("Breaker", "short", "0 closed, 1 one call tries, 2 nobody asks.",
              (_most("waitroom_shop_provider_breaker", "provider", sold=False),)),
        Panel("Payments with something left to do", "short", "Falls by itself; who never comes back from the bank "
              "stays until the order's time is over.",
              (Query("sum by (place) (waitroom_shop_open_payment_attempts)", "{{place}}"),)),
        Panel("Payments that wait for a person", "short", "And how long the oldest has, in the alert.",
              (Query("sum by (place) (waitroom_shop_open_reviews)", "{{place}}"),)),
        Panel("Messages that wait", "short", "By channel.",
              (Query("sum by (channel) (waitroom_shop_outbox_waiting_messages)", "{{channel}}"),)),
        Panel("Seats on which store and SQL differ", "short", "Zero is normal, and a moment more after a loss.",
              (_most("waitroom_shop_inventory_drift", "place"),)),
        Panel("Notes of holds behind", "s", "Age of the oldest that is not in SQL.",
              (_most("waitroom_shop_journal_lag_seconds", "place"),)),
        Panel("Streams of changes", "short", "Open seat maps that are told what changes.",
              (Query("sum(waitroom_shop_map_streams)"),)),
        Panel("Lateness of the event loop", "s", "Of the slowest worker; from some hundredths on maps become coarse.",
              (_most("waitroom_shop_loop_lag_seconds"),)),
        Panel("Scans at the doors", "reqps", "By what came of them.",
              (_rate("waitroom_shop_scans_total", "outcome", sold=False),)),
    ),
)  # fmt: skip

_MONTH = f"1 - ({RATIO}3d / on (slo) {BUDGET}) * 3 / 30"

OBJECTIVES_BOARD = Board(
    "waitroom-objectives",
    "Waitroom: objectives",
    " ".join(f"{one.slo}: {one.told} {one.target:.2%}." for one in OBJECTIVES),
    (
        Panel("How fast budgets burn", "short", "1 is as fast as allowed: the month's budget is gone when the month "
              "is. 14.4 wakes somebody.",
              (Query(f"{RATIO}1h / on (slo) {BUDGET}", "{{slo}}"),)),
        Panel("Left of the month, if the last three days are all that failed", "percentunit",
              "Below zero the objective is missed.", (Query(_MONTH, "{{slo}}"),), is_signed=True),
        *(
            Panel(one.title, "percentunit", f"{one.told} May fail: {one.budget:.2%}.",
                  (Query(f'{RATIO}5m{{slo="{one.slo}"}}', "last 5 minutes"),
                   Query(f'{RATIO}6h{{slo="{one.slo}"}}', "last 6 hours")))
            for one in OBJECTIVES
        ),
    ),
)  # fmt: skip

BOARDS = (LINE, SHOP, OBJECTIVES_BOARD)
