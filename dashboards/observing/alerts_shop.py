"""Alerts on the shop: what keeps people from buying, and what must never be (promise 5)."""

from dashboards.observing.shapes import Alert, Severity

_LOGS = "The log: `docker compose -f deploy/compose.yaml logs --since 15m`, or `journalctl -u waitroom-shop`."
_CHECK = "`waitroom shop check --live`: every invariant of every event, in SQL and in the store."
_ORDER = "One order: `/organiser/api/events/{id}/orders/{order}/timeline` says what happened to it."

SHOP_ALERTS = (
    Alert(
        name="WaitroomProviderAway",
        expr="max by (provider) (waitroom_shop_provider_breaker) > 0\n"
        "and on (provider) sum by (provider) "
        '(increase(waitroom_shop_provider_calls_total{outcome=~"unclear|kept-away"}[5m])) > 0',
        lasts="30s",
        severity=Severity.PAGE,
        summary="The payment provider {{ $labels.provider }} is left alone: too many of its answers failed",
        means="The breaker is open: after several calls without an answer nobody asks for a while, then one "
        "call tries; until that is answered it is not closed. A breaker that stays open because nobody pays any more "
        "is no alarm: somebody must have asked in vain within five minutes.",
        fans="A try to pay says that the payment is being made, and does not end; seats stay theirs "
        "meanwhile. Nobody is "
        "charged twice: the same key is asked again when the provider is back.",
        look=(
            "The provider's status page, and the way to it from the shop's machine.",
            "`sum by (call, outcome) (rate(waitroom_shop_provider_calls_total[5m]))`: unclear is no answer or 5xx, "
            "refused is an answer.",
            _LOGS,
        ),
        do=(
            "Nothing in the shop: attempts are driven on by themselves, every second, until they have an end.",
            "If it lasts: pause the room, so that nobody is let in to a till that does not work "
            '(`{"paused": true}` on the console), and tell fans by the room\'s message.',
            "If only we cannot reach it: the network, its certificates, the account's key.",
        ),
        escalate="Ten minutes, or the sale ends within the hour. The organiser decides whether the sale is "
        "prolonged.",
        fires={
            'waitroom_shop_provider_breaker{provider="stripe"}': "2+0x15 1+0x15",
            'waitroom_shop_provider_calls_total{provider="stripe",call="create",outcome="kept-away"}': "0+5x30",
        },
        quiet={
            'waitroom_shop_provider_breaker{provider="stripe"}': "2+0x30",
            'waitroom_shop_provider_calls_total{provider="stripe",call="create",outcome="unclear"}': "0+5x4 20+0x26",
            'waitroom_shop_provider_calls_total{provider="stripe",call="create",outcome="done"}': "0+5x30",
        },
        labels={"provider": "stripe"},
    ),
    Alert(
        name="WaitroomProviderTroubles",
        expr="sum by (provider) "
        '(rate(waitroom_shop_provider_calls_total{outcome=~"unclear|broken-off|not-now"}[5m]))\n'
        "/ sum by (provider) (rate(waitroom_shop_provider_calls_total[5m])) > 0.1\n"
        "and on (provider) sum by (provider) "
        '(increase(waitroom_shop_provider_calls_total{outcome=~"unclear|broken-off|not-now"}[5m])) >= 10',
        lasts="5m",
        severity=Severity.TICKET,
        summary="One in ten calls of {{ $labels.provider }} has no answer",
        means="The provider answers, but not always or not at once: ten calls and more in five minutes. Calls are "
        "repeated under the same key.",
        fans="Paying takes longer.",
        look=(
            "The provider's status page.",
            "`not-now` alone: we ask more than our account may; its dashboard says so.",
        ),
        do=("Wait, and look at the breaker.", "`not-now`: ask the provider for more, before the next sale."),
        escalate="`WaitroomProviderAway` fires.",
        fires={
            'waitroom_shop_provider_calls_total{provider="stripe",call="confirm",outcome="unclear"}': "0+3x30",
            'waitroom_shop_provider_calls_total{provider="stripe",call="confirm",outcome="done"}': "0+9x30",
        },
        quiet={
            'waitroom_shop_provider_calls_total{provider="stripe",call="confirm",outcome="unclear"}': "0+1x30",
            'waitroom_shop_provider_calls_total{provider="stripe",call="confirm",outcome="done"}': "0+2x30",
        },
        labels={"provider": "stripe"},
    ),
    Alert(
        name="WaitroomOrdersFail",
        expr='sum(increase(waitroom_shop_orders_total{outcome="failed"}[15m])) > 0',
        lasts="0s",
        severity=Severity.PAGE,
        summary="Money that a bank had promised could not be taken, after the seats were sold",
        means="The bank authorised, the seats were sold, and the capture failed for good. The seats are free again.",
        fans="An order that was sold to them is not. Nobody was charged for it.",
        look=(
            "The organiser's list of orders, `?state=failed`.",
            _ORDER,
            "The provider's page of that payment: why was the capture refused?",
        ),
        do=(
            "Write to the buyers; their seats may be had again, if they are still free.",
            "Several at once: the account may be closed, or captures come later than the provider allows. "
            "Pause the room.",
        ),
        escalate="More than one: the organiser, and the provider's support.",
        fires={'waitroom_shop_orders_total{outcome="failed"}': "0+0x10 1+0x20"},
        quiet={'waitroom_shop_orders_total{outcome="failed"}': "1+0x30"},
    ),
    Alert(
        name="WaitroomStrayPayment",
        expr='sum(increase(waitroom_shop_orders_total{outcome="stray"}[1h])) > 0',
        lasts="0s",
        severity=Severity.TICKET,
        summary="A provider has a payment that we did not know",
        means="A comparison with the provider found a payment that is not in our books: a crash between two "
        "steps, or "
        "somebody who paid by other means. It is written down and driven on, to a sale or back.",
        fans="Nothing, if it is settled; else money that is away for some days.",
        look=("`/organiser/api/strays`: which, how much, how it stands.", _ORDER),
        do=("See that it has an end. Then `POST /strays/{provider}/{ref}/seen`.",),
        escalate="It is still open after a day.",
        fires={'waitroom_shop_orders_total{outcome="stray"}': "0+0x10 1+0x20"},
        quiet={'waitroom_shop_orders_total{outcome="stray"}': "1+0x30"},
    ),
    Alert(
        name="WaitroomInventoryDrift",
        expr="max by (place) (waitroom_shop_inventory_drift) > 0",
        lasts="5m",
        severity=Severity.PAGE,
        summary="Store and SQL do not agree on seats at {{ $labels.place }}, and have not for five minutes",
        means="The map in the store shows seats otherwise than SQL has them, and the comparison did not mend "
        "it. Nothing "
        "is sold twice by that: SQL has the last word. But seats may look taken that are free, or the other "
        "way round.",
        fans="A seat that can be picked and not be bought, or a free one that cannot be picked.",
        look=(_CHECK, f"{_LOGS} Words: `the store and SQL do not agree`."),
        do=(
            "Let the comparison mend it: it does so each round. If it stays, restart the shop's background workers.",
            "`waitroom shop log verify`: is the log as it was written? `waitroom shop log rebuild` makes the tables "
            "what it comes to; only when nothing is sold, and after a copy of the database.",
        ),
        escalate='`waitroom shop check` names I1 or I3: stop the sale (`{"paused": true}`) and call the maintainers.',
        fires={'waitroom_shop_inventory_drift{place="main"}': "3+0x30"},
        quiet={'waitroom_shop_inventory_drift{place="main"}': "0+0x30"},
        labels={"place": "main"},
    ),
    Alert(
        name="WaitroomShopJournalBehind",
        expr="max by (place) (waitroom_shop_journal_lag_seconds) > 10",
        lasts="1m",
        severity=Severity.PAGE,
        summary="Holds at {{ $labels.place }} are not in SQL for more than ten seconds",
        means="The shop's database does not take the notes of holds, or too slowly. Where no background worker runs at "
        "all nobody looks, and this is silent: then `WaitroomLogUnsealed` fires.",
        fans="Nothing yet. Who reserves needs the same database, and waits.",
        look=(
            "The database of `WAITROOM_SHOP_DATABASE_URL`: does it answer, is its disk full, is a lock held?",
            "`waitroom_shop_journal_waiting_notes`: does it grow? Then nobody brings them, or SQL is too slow.",
            _LOGS,
        ),
        do=(
            "Bring the database back. Notes are kept for twenty minutes.",
            "Too slow: SQLite on a disk that others use? The writing is what counts, not its size.",
        ),
        escalate="Fifteen minutes: from twenty on notes are given up.",
        fires={'waitroom_shop_journal_lag_seconds{place="main"}': "0+5x30"},
        quiet={'waitroom_shop_journal_lag_seconds{place="main"}': "0.1+0x30"},
        labels={"place": "main"},
    ),
    Alert(
        name="WaitroomLogUnsealed",
        expr="time() - max by (place) (waitroom_shop_log_sealed_timestamp_seconds) > 120",
        lasts="1m",
        severity=Severity.TICKET,
        summary="What was sold at {{ $labels.place }} has not been sealed for two minutes",
        means="The blocks that seal the log of sales do not follow; what was sold stands in the log all the same. Or "
        "no background worker runs: then nobody settles payments or frees holds either.",
        fans="Nothing.",
        look=(f"{_LOGS} Words: `the log could not be sealed`.", "`waitroom shop log verify`."),
        do=(
            "If no process has the role `background`, start one (`WAITROOM_SHOP_ROLES`): fans wait for what it does.",
            "Restart the background worker. If it stays, keep the log and the database as they are, and report it.",
        ),
        escalate="`waitroom shop log verify` says that the log is not as it was written.",
        fires={'waitroom_shop_log_sealed_timestamp_seconds{place="main"}': "0+0x30"},
        quiet={'waitroom_shop_log_sealed_timestamp_seconds{place="main"}': "0+60x30"},
        labels={"place": "main"},
    ),
    Alert(
        name="WaitroomReviewsWait",
        expr="max by (place) (waitroom_shop_oldest_review_seconds) > 1800",
        lasts="1m",
        severity=Severity.TICKET,
        summary="A payment at {{ $labels.place }} has waited for a person for half an hour",
        means="The fraud checks left a decision to somebody. The seats are sold and the money is authorised; when "
        "nobody decides in time, the order lapses.",
        fans="One buyer looks at *your payment is being looked at*.",
        look=(
            "`/staff/office/events/{id}/waiting`: whom, why, until when.",
            "`waitroom_shop_open_reviews`: how many.",
        ),
        do=("Have somebody with the role `support` decide: release or refuse, with a note.",),
        escalate="More than can be decided before they lapse: the organiser; the rules may be too strict.",
        fires={'waitroom_shop_oldest_review_seconds{place="main"}': "2000+60x30"},
        quiet={'waitroom_shop_oldest_review_seconds{place="main"}': "0+0x30"},
        labels={"place": "main"},
    ),
    Alert(
        name="WaitroomOutboxStuck",
        expr="max by (place, channel) (waitroom_shop_outbox_oldest_seconds) > 600",
        lasts="5m",
        severity=Severity.TICKET,
        summary="A message by {{ $labels.channel }} at {{ $labels.place }} has waited for ten minutes",
        means="Messages are written with the sale and sent afterwards; this channel takes none, or not these.",
        fans="They have paid and no mail comes. The tickets stand behind the order's own page.",
        look=(
            "`sum by (channel, outcome) (rate(waitroom_shop_outbox_sends_total[5m]))`: what the channel answers.",
            "The mail server's own log; for webhooks the receiver's.",
        ),
        do=(
            "Mend the channel; what waits is sent by itself, later each time, at least once.",
            "One receiver of webhooks that is gone for good: take it out of the settings.",
        ),
        escalate="Buyers of an event that is today wait for tickets.",
        fires={'waitroom_shop_outbox_oldest_seconds{place="main",channel="mail"}': "300+60x30"},
        quiet={'waitroom_shop_outbox_oldest_seconds{place="main",channel="mail"}': "0+0x30"},
        labels={"place": "main", "channel": "mail"},
    ),
    Alert(
        name="WaitroomBackgroundFails",
        expr="sum by (task) (increase(waitroom_shop_background_failures_total[10m])) > 3",
        lasts="5m",
        severity=Severity.TICKET,
        summary="The background work {{ $labels.task }} fails again and again",
        means="A round that failed costs only itself, and the next follows; this one fails each time.",
        fans="Depends on the task: `reap` and `sweep` free seats, `orders` settles payments, `stock` tells the room.",
        look=(f"{_LOGS} Words: `background work failed`, with the reason below.",),
        do=(
            "Database or store away? Their alerts say what to do.",
            "Else restart one worker, and report the reason.",
        ),
        escalate="The task is `orders` or `reap`, and it has failed for fifteen minutes.",
        fires={'waitroom_shop_background_failures_total{task="reap"}': "0+1x30"},
        quiet={'waitroom_shop_background_failures_total{task="reap"}': "2+0x30"},
        labels={"task": "reap"},
    ),
    Alert(
        name="WaitroomShopLoopLags",
        expr="max by (instance) (waitroom_shop_loop_lag_seconds) > 0.25",
        lasts="2m",
        severity=Severity.TICKET,
        summary="A worker of the shop at {{ $labels.instance }} answers a quarter of a second late",
        means="Its event loop is late: too much work for one process, or a machine that does something else.",
        fans="Pages are slow; maps show sections only.",
        look=("The machine's load, and what else runs on it.", "Board *The shop*, *Streams of changes*."),
        do=(
            "More shop workers (`--shop-workers`), or fewer people inside: lower `total_active_users` of the room.",
        ),
        escalate="Payments burn their budget at the same time.",
        fires={'waitroom_shop_loop_lag_seconds{instance="a:8081"}': "0.4+0x30"},
        quiet={'waitroom_shop_loop_lag_seconds{instance="a:8081"}': "0.01+0x30"},
        labels={"instance": "a:8081"},
    ),
    Alert(
        name="WaitroomDeclinesJump",
        expr="sum(increase(waitroom_shop_declined_payments_total[10m])) > 20\n"
        "and sum(increase(waitroom_shop_declined_payments_total[10m]))\n"
        '> sum(increase(waitroom_shop_payments_total{outcome="answered"}[10m])) / 2',
        lasts="5m",
        severity=Severity.TICKET,
        summary="Banks decline more than half of the tries to pay",
        means="Cards are being tried out by a program, or banks object to us: a name that buyers do not know, "
        "a country.",
        fans="Tries to pay that are declined; they may use another card and keep their seats.",
        look=(
            "`sum by (reason) (rate(waitroom_shop_declined_payments_total[10m]))`: many reasons are many cards.",
            "`sum by (verdict) (rate(waitroom_shop_fraud_verdicts_total[10m]))`, and the reviews.",
        ),
        do=(
            "Trying out: tighten the limits in the fraud checks' file (`WAITROOM_FRAUD`) and restart the shop's "
            "workers one after the other; its lists are read again by themselves.",
            "One reason alone: the provider's support; they see what banks say.",
        ),
        escalate="It lasts for half an hour.",
        fires={
            'waitroom_shop_declined_payments_total{reason="declined"}': "0+8x30",
            'waitroom_shop_payments_total{outcome="answered"}': "0+10x30",
        },
        quiet={
            'waitroom_shop_declined_payments_total{reason="declined"}': "0+1x30",
            'waitroom_shop_payments_total{outcome="answered"}': "0+10x30",
        },
    ),
)
