"""Observing for real: Prometheus reads the demo while seats are sold, Alertmanager pages when bank or store stop.

One installation, one Prometheus and one Alertmanager for all tests; they build on each other in this order.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.buyers import buyers, paying
from bench.watching import Refusal, Watched, watched
from dashboards.observing.boards import BOARDS
from dashboards.observing.objectives import OBJECTIVES, WINDOWS, ratio
from dashboards.observing.prometheus import ALERTS, LINE_ALERTS
from tests.process.operating import changed
from tests.process.test_demo import START_S, Demo, demo, let_in, wait_until

pytestmark = pytest.mark.process

PATIENCE_S = 60.0
LONGEST_S = 120.0
"""A breaker leaves a bank alone for a minute at most, and then asks."""
EVENT = "/api/events/northern-lights"
OWN = {"sec-fetch-site": "same-origin"}
PASSED = 'gateway_decisions_total{decision="pass"}'
SOON = {"waitroom_line_reading_age_seconds) > 10": "waitroom_line_reading_age_seconds) > 4"}
"""Ten seconds without the store are a long time in a test."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run the demo."""
    with demo(tmp_path_factory.mktemp("watched")) as shared:
        yield shared


@pytest.fixture(scope="module")
def watch(installation: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Watch it, and let four people buy, or not."""
    with watched(tmp_path_factory.mktemp("prometheus"), installation.control, SOON, hasty=True) as own:
        wait_until("the first scrape", lambda: own.ask("up == 1 and waitroom_shop_map_streams"), PATIENCE_S)
        play(installation, own)
        yield own


def play(installation: Demo, watch: Watched) -> None:
    """Sell a little: one pays, one is declined and gives up, one gives a hold back, one gives a reservation back."""
    for number, way in enumerate(("paid", "declined", "held", "reserved")):
        with httpx.Client(base_url=installation.site, timeout=START_S, headers=OWN) as fan:
            if number == 1:
                # A series that begins with its last value never rises: what the first has done must have been seen.
                wait_until("the first is seen", lambda: watch.ask(PASSED), PATIENCE_S)
            fan.get("/.waitroom/r/main/status").raise_for_status()
            let_in(fan)
            hold = told(fan, "POST", "/holds", 201, key=f"h{number}", json={"best": {"count": 2}})["hold"]
            if way == "held":
                told(fan, "DELETE", f"/holds/{hold}", 204)
                continue
            reservation = told(fan, "POST", f"/holds/{hold}/reserve", 201)["reservation"]
            if way == "reserved":
                told(fan, "DELETE", f"/reservations/{reservation}", 204)
                continue
            order = told(fan, "POST", f"/reservations/{reservation}/order", 201)["order"]
            method, status = ("pm_card_visa", 200) if way == "paid" else ("pm_card_chargeDeclined", 402)
            told(fan, "POST", f"/orders/{order}/pay", status, key=f"p{number}", json={"method": method})
            if way == "declined":
                told(fan, "DELETE", f"/orders/{order}", 200)


def told(fan: httpx.Client, method: str, path: str, status: int, *, key: str = "", **given: Any) -> Any:
    """Ask the shop, through the gate."""
    headers = {"idempotency-key": key} if key else {}
    answer = fan.request(method, EVENT + path, headers=headers, **given)
    assert answer.status_code == status, (path, answer.text)
    return answer.json() if answer.content else None


def test_promtool_likes_what_an_installation_tells(installation: Demo, watch: Watched) -> None:
    """`promtool check metrics` reads what gate, operator and shop tell after a sale, and objects to nothing."""
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing: make setup"
    text = httpx.get(f"{installation.control}/metrics").text
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert {"gateway_decisions_total", "waitroom_line_joined_total", "waitroom_shop_tickets_total"} <= {
        row.split("{")[0].split(" ")[0] for row in text.splitlines()
    }
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_prometheus_answers_every_query_of_boards_objectives_and_alerts(watch: Watched) -> None:
    """None is refused, every rule's last round went well, and what must have data after a sale has some."""
    must = {query.expr for board in BOARDS for panel in board.panels for query in panel.queries if query.sold}
    may = {
        query.expr for board in BOARDS for panel in board.panels for query in panel.queries if not query.sold
    }
    may |= {alert.expr for alert in ALERTS}
    may |= {ratio(one, window) for one in OBJECTIVES for window in WINDOWS}
    empty: list[str] = []

    def all_have_data() -> bool:
        empty[:] = [expr for expr in must if not watch.ask(expr)]
        return not empty

    try:
        wait_until("every query has data", all_have_data, PATIENCE_S)
    except AssertionError:
        assert empty == []
        raise
    for expr in may:
        watch.ask(expr)

    wait_until("every rule had its round", lambda: "unknown" not in watch.rules().values(), PATIENCE_S)

    assert {name: health for name, health in watch.rules().items() if health != "ok"} == {}
    assert {f"waitroom-line {alert.name}" for alert in LINE_ALERTS} <= watch.rules().keys()


def test_a_query_that_prometheus_refuses_and_one_without_data_are_found(watch: Watched) -> None:
    """The mutants: a bracket that is missing, and a metric that nobody tells."""
    with pytest.raises(Refusal, match="bad_data"):
        watch.ask("sum(rate(waitroom_line_joined_total[1m])")

    assert watch.ask("waitroom_line_danced_total") == []


def test_a_sale_in_prometheus_is_what_sql_says(installation: Demo, watch: Watched) -> None:
    """Each step, the tickets, and the board's conversion and abandonment: equal to SQL, the two ratios within 1 %."""
    wanted = {"held": 4, "reserved": 3, "ordered": 2, "paid": 1, "abandoned": 3, "tickets": 2}
    wait_until("SQL has heard of all", lambda: in_sql(installation.data) == wanted, PATIENCE_S)

    def counted() -> dict[str, float]:
        steps = watch.ask("sum by (step) (waitroom_shop_funnel_total)")
        found = {one["metric"]["step"]: float(one["value"][1]) for one in steps}
        return {**found, "tickets": value(watch, "sum(waitroom_shop_tickets_total)")}

    wait_until(f"Prometheus has {wanted}", lambda: counted() == wanted, PATIENCE_S)
    ended = wanted["paid"] + wanted["abandoned"]
    ratios = {panel.title: panel.queries[0].expr for board in BOARDS for panel in board.panels}
    wait_until(
        "the board's ratios are SQL's",
        lambda: (
            value(watch, ratios["Conversion"]) == pytest.approx(wanted["paid"] / ended, rel=0.01)
            and value(watch, ratios["Abandonment"]) == pytest.approx(wanted["abandoned"] / ended, rel=0.01)
        ),
        PATIENCE_S,
    )


def value(watch: Watched, expr: str) -> float:
    """Ask for one number."""
    (one,) = watch.ask(expr)
    return float(one["value"][1])


def in_sql(data: Path) -> dict[str, int]:
    """Count a sale in the shop's own tables."""
    asked = {
        "held": "SELECT count(*) FROM hold_journal",
        "reserved": "SELECT count(*) FROM reservations",
        "ordered": "SELECT count(*) FROM orders",
        "paid": "SELECT count(*) FROM orders WHERE state = 'paid'",
        "abandoned": "SELECT (SELECT count(*) FROM reservations WHERE state IN ('released', 'lapsed'))"
        " + (SELECT count(*) FROM hold_journal AS h WHERE h.state IN ('released', 'expired') AND NOT EXISTS"
        " (SELECT 1 FROM reservations AS r WHERE r.event_id = h.event_id AND r.hold_id = h.hold_id))",
        "tickets": "SELECT count(*) FROM tickets",
    }
    with closing(sqlite3.connect(f"file:{data / 'shop.db'}?mode=ro", uri=True)) as connection:
        return {name: connection.execute(query).fetchone()[0] for name, query in asked.items()}


def test_readiness_says_which_limit_is_hit(installation: Demo, watch: Watched) -> None:
    """Joins that come too fast from one network are refused; the gate says so, stays ready, and Prometheus sees it."""
    token = (installation.data / "operator-token").read_text().strip()
    ready = f"{installation.site}/.waitroom/health/ready"
    join = f"{installation.site}/.waitroom/r/main/join"
    with httpx.Client(
        base_url=installation.control, headers={"authorization": f"Bearer {token}"}
    ) as operator:
        few, many = (
            {"join_rate_per_minute": 1, "join_burst": 1},
            {"join_rate_per_minute": 6000, "join_burst": 6000},
        )
        changed(operator, "PATCH", "/api/rooms/main", "", few)
        wait_until(
            "a join is refused", lambda: httpx.post(join, timeout=PATIENCE_S).status_code == 429, PATIENCE_S
        )
        wait_until("it is told", lambda: hits(ready, join), PATIENCE_S)
        query = 'max(gateway_shedding{limit="joins"}) == 1'
        wait_until(
            "Prometheus sees it",
            lambda: httpx.post(join, timeout=PATIENCE_S) and watch.ask(query),
            PATIENCE_S,
        )
        changed(operator, "PATCH", "/api/rooms/main", "", many)
        wait_until(
            "joins are let in again",
            lambda: httpx.post(join, timeout=PATIENCE_S).status_code != 429,
            PATIENCE_S,
        )


def hits(ready: str, join: str) -> bool:
    """Join once more, and tell whether a gate that is ready names the limit."""
    httpx.post(join, timeout=PATIENCE_S)
    answer = httpx.get(ready, timeout=PATIENCE_S)
    return answer.status_code == 200 and "joins" in answer.json()["shedding"]


def examined(installation: Demo) -> dict[str, tuple[str, str]]:
    """Have the doctor look; give mark and sentence of each finding that is no doubt about the machine."""
    ports = {
        "WAITROOM_PORT": installation.site, "WAITROOM_OPERATOR_PORT": installation.control,
    }  # fmt: skip
    told = subprocess.run(
        [Path(sys.executable).parent / "waitroom", "doctor", "--json", "--data", str(installation.data)],
        env={**os.environ, **{name: url.rpartition(":")[2] for name, url in ports.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(told.stdout)["findings"]
    return {
        one["what"]: (one["mark"], one["seen"]) for one in findings if not one["what"].startswith("files.")
    }


def test_the_doctor_finds_nothing_wrong_with_what_is_well(installation: Demo) -> None:
    """Gate, operator's port, store, journal, shop's database, the site behind: all of them are there."""
    found = examined(installation)

    assert {what: seen for what, (mark, seen) in found.items() if mark == "fail"} == {}
    assert found["rooms"] == ("ok", "1 room without a fault.")
    assert {what for what, (mark, _) in found.items() if mark == "ok"} >= {
        "ports.gate", "ports.operator", "store.policy", "store.clock", "journal.version", "journal.chain",
        "shop.version", "origins",
    }  # fmt: skip


def test_a_bank_that_stops_pages_somebody_and_its_return_ends_the_page(
    installation: Demo, watch: Watched
) -> None:
    """People pay meanwhile: whom nobody asks nobody misses. `make drill NAME=alarm` does it with the samples' times."""
    alert, pager = "WaitroomProviderAway", watch.pager
    (bank,) = [pid for pid, command in installation.family.items() if "worker sandbox" in command]
    with buyers(installation.site, 12) as people, paying(people) as pay:
        os.kill(bank, signal.SIGSTOP)
        try:
            pay()
            wait_until("a page", lambda: ("first", "firing", alert) in pager.heard, PATIENCE_S)
        finally:
            os.kill(bank, signal.SIGCONT)
        wait_until("its end", lambda: ("first", "resolved", alert) in pager.heard, LONGEST_S)


def test_a_store_that_stops_pages_somebody_and_its_return_ends_the_page(
    installation: Demo, watch: Watched
) -> None:
    """The first on call hears of it by a webhook, later the second; both hear that it is over.

    Meanwhile the gate stays ready with a warning, because the admitted pass, and the operator's process is not.
    """
    alert, pager = "WaitroomStoreAway", watch.pager
    gate, operator = f"{installation.site}/.waitroom/health/ready", f"{installation.control}/health/ready"
    store = int((installation.data / "store.pid").read_text())
    assert store in installation.family
    os.kill(store, signal.SIGSTOP)
    try:
        wait_until("a page", lambda: ("first", "firing", alert) in pager.heard, PATIENCE_S)
        wait_until("the second hears", lambda: ("second", "firing", alert) in pager.heard, PATIENCE_S)
        told = httpx.get(gate, timeout=PATIENCE_S), httpx.get(operator, timeout=PATIENCE_S)
        found = examined(installation)
    finally:
        os.kill(store, signal.SIGCONT)
    wait_until("its end", lambda: ("first", "resolved", alert) in pager.heard, PATIENCE_S)
    wait_until(
        "the operator's process is back",
        lambda: httpx.get(operator, timeout=PATIENCE_S).status_code == 200,
        PATIENCE_S,
    )

    assert found["store"][0] == "fail"
    assert "does not answer in time" in found["store"][1]
    assert (found["ports.gate"][0], found["ports.operator"][0], found["rooms"][0]) == ("ok", "fail", "skip")
    assert [answer.status_code for answer in told] == [200, 503]
    assert "store-or-journal-away" in told[0].json()["warnings"]
    assert told[1].json() == {"status": "not-ready", "faults": ["store-away"]}
