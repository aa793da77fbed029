"""FaultPlan, disputes and the ledger, as a drill orders and reads them."""

import logging

import httpx
import pytest

from checkout.sandbox.faults import COUNT_MOST, RULES_MOST, Fault, FaultKind, FaultPlan
from tests.checkout.sandbox.running import KEY, SECRET, Running

PI = "/v1/payment_intents"

BAD_FAULTS = [
    {},
    {"fault": "earthquake"},
    {"fault": ["delay"]},
    {"fault": "delay", "where": ""},
    {"fault": "delay", "where": 7},
    {"fault": "delay", "count": 0},
    {"fault": "delay", "count": True},
    {"fault": "delay", "count": COUNT_MOST + 1},
    {"fault": "delay", "probability": 1.1},
    {"fault": "delay", "probability": True},
    {"fault": "delay", "probability": "1"},
    {"fault": "delay", "delay_ms": -1},
    {"fault": "webhook-twice", "copies": 1},
    {"fault": "delay", "seed": -1},
    {"fault": "delay", "when": "now"},
]


def test_orders_that_make_no_sense_are_refused(box: Running) -> None:
    """With a sentence; none of them counts."""
    for plain in BAD_FAULTS:
        answer = box.client.post("/_sandbox/faults", json=plain)
        assert answer.status_code == 400, plain
        assert answer.json()["error"]["message"].startswith("This is no fault: "), plain
    assert box.client.post("/_sandbox/faults", content=b"{").status_code == 400
    assert box.client.post("/_sandbox/faults", content=b"[]").status_code == 400
    assert box.get("/_sandbox/faults").json() == {"faults": []}


def test_a_fault_strikes_where_and_as_often_as_ordered(box: Running) -> None:
    """And is told how often it has struck; what is forgotten strikes no more."""
    box.fault("error-before", f"POST {PI}", count=2)
    assert box.get(PI).status_code == 200
    assert [box.post(PI, amount=1, currency="eur").status_code for _ in range(3)] == [500, 500, 200]
    assert box.get("/_sandbox/faults").json()["faults"][0]["struck"] == 2

    box.fault("too-many", count=50)
    limited = box.get(PI)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
    box.client.delete("/_sandbox/faults")
    assert box.get(PI).status_code == 200


@pytest.mark.parametrize("fault", ["drop-request", "drop-answer"])
def test_a_connection_is_broken_off_without_a_word(fault: str, box: Running) -> None:
    """Not one octet comes; executed in one case, not in the other."""
    box.fault(fault, f"POST {PI}")
    with pytest.raises(httpx.RemoteProtocolError):
        box.post(PI, amount=1, currency="eur")
    assert len(box.get(PI).json()["data"]) == (fault == "drop-answer")


def test_chance_can_be_repeated() -> None:
    """The seed is told, and gives the same run again; about as often as ordered."""
    runs = [
        [fault.strikes("x") for _ in range(1_000)]
        for fault in (
            Fault(FaultKind.DELAY, count=COUNT_MOST, probability=0.3, seed=seed) for seed in (5, 5, 6)
        )
    ]
    assert runs[0] == runs[1] != runs[2]
    assert all(250 < sum(run) < 350 for run in runs)


def test_a_seed_that_nobody_named_is_told(box: Running) -> None:
    """So that a run that fails can be repeated."""
    seeds = {box.fault("delay", "nowhere", probability=0.5)["seed"] for _ in range(5)}
    assert len(seeds) == 5
    assert box.fault("delay", "nowhere", seed=7)["seed"] == 7


def test_there_is_room_for_so_many_faults_and_no_more() -> None:
    """Spent ones make room."""
    faults = FaultPlan()
    for _ in range(RULES_MOST):
        faults.add(Fault(FaultKind.DELAY))
    with pytest.raises(ValueError, match="faults already"):
        faults.add(Fault(FaultKind.DELAY))
    assert faults.strike({FaultKind.DELAY}, "x")
    faults.add(Fault(FaultKind.DELAY))


def test_disputes_are_opened_and_decided(box: Running) -> None:
    """For what was taken and not given back; a won one gives it back to the shop, a lost one does not."""
    ident = box.paid(**{"metadata[event]": "rome", "metadata[order]": "o1"})["id"]
    box.post("/v1/refunds", payment_intent=ident, amount=1_200)

    def order(path: str, **fields: object) -> httpx.Response:
        return box.client.post(f"/_sandbox/disputes{path}", json=fields)

    assert order("", payment_intent=ident, amount=3_001).status_code == 400
    first = order("", payment_intent=ident, reason="product_not_received").json()
    assert (first["amount"], first["status"], first["reason"]) == (
        3_000,
        "needs_response",
        "product_not_received",
    )
    assert order("", payment_intent=ident).status_code == 400
    assert box.post("/v1/refunds", payment_intent=ident).json()["error"]["code"] == "charge_disputed"
    assert box.ledger()[0]["sums"]["eur"]["disputed"] == 3_000

    assert order(f"/{first['id']}", outcome="won").json()["status"] == "won"
    assert order(f"/{first['id']}", outcome="lost").status_code == 400
    assert box.ledger()[0]["sums"]["eur"]["disputed"] == 0
    box.post("/v1/refunds", payment_intent=ident, amount=1_000)

    second = order("", payment_intent=ident).json()
    assert order(f"/{second['id']}", outcome="lost").json()["status"] == "lost"
    sums = box.ledger()[0]["sums"]["eur"]
    assert (sums["captured"], sums["refunded"], sums["disputed"]) == (4_200, 2_200, 2_000)
    assert box.post("/v1/refunds", payment_intent=ident).json()["error"]["code"] == "charge_disputed"
    assert order("", payment_intent=ident).status_code == 400
    assert box.get(f"/v1/disputes/{second['id']}").json()["status"] == "lost"


def test_an_inquiry_that_is_answered_leaves_no_trace_of_money(box: Running) -> None:
    """Asked, answered, closed."""
    box.paid("pm_card_createDisputeInquiry")
    (dispute,) = box.get("/v1/disputes").json()["data"]
    assert dispute["status"] == "warning_needs_response"
    closed = box.client.post(f"/_sandbox/disputes/{dispute['id']}", json={"outcome": "won"}).json()
    assert closed["status"] == "warning_closed"
    assert box.ledger()[0]["sums"]["eur"]["disputed"] == 0


@pytest.mark.parametrize(
    ("path", "plain", "status"),
    [
        ("disputes", {}, 400),
        ("disputes", {"payment_intent": "pi_none"}, 404),
        ("disputes", {"payment_intent": ":open"}, 400),
        ("disputes", {"payment_intent": ":open", "amount": "1"}, 400),
        ("disputes", {"payment_intent": ":open", "inquiry": "yes"}, 400),
        ("disputes", {"payment_intent": ":open", "extra": 1}, 400),
        ("disputes/dp_none", {"outcome": "won"}, 404),
        ("disputes/dp_none", {"outcome": "draw"}, 400),
        ("webhooks/evt_none", {}, 404),
        ("ledger", {}, 404),
        ("", {}, 404),
    ],
)
def test_other_orders_are_refused(path: str, plain: dict[str, object], status: int, box: Running) -> None:
    """With the API's errors."""
    given = {name: box.made()["id"] if value == ":open" else value for name, value in plain.items()}
    answer = box.client.post(f"/_sandbox/{path}", json=given)
    assert (answer.status_code, bool(answer.json()["error"]["message"])) == (status, True)


def test_the_ledger_adds_up_each_order(box: Running) -> None:
    """Attempts of one order together, currencies apart, by event and order if wanted."""
    of_order = {"metadata[event]": "rome", "metadata[order]": "o1"}
    box.paid(**of_order, **{"metadata[attempt]": 1})
    ident = box.made(**of_order, currency="jpy")["id"]
    box.post(f"{PI}/{ident}/confirm", payment_method="pm_card_visa")
    box.made(**{"metadata[event]": "rome", "metadata[order]": "o2"})
    box.made()
    assert [(one["event"], one["order"]) for one in box.ledger()] == [
        ("rome", "o1"),
        ("rome", "o2"),
        ("", ""),
    ]
    (first,) = box.ledger(event="rome", order="o1")
    assert first["sums"]["eur"]["captured"] == 4_200
    assert (first["sums"]["jpy"]["authorised"], first["sums"]["jpy"]["held"]) == (4_200, 4_200)
    assert [one["attempt"] for one in first["payments"]] == ["1", ""]
    assert len(box.ledger(event="rome")) == 2


def test_nothing_secret_is_logged(box: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Neither keys nor bodies, with everything logged, faults and failures too."""
    with caplog.at_level(logging.DEBUG):
        box.fault("error-after", f"POST {PI}")
        box.inbox.statuses = [500, 500]
        box.post(PI, "very-own-key", amount=1, currency="eur", description="a private word")
        box.sandbox._api.call = None  # type: ignore[method-assign,assignment]
        assert (
            box.post(PI, "other-key", amount=1, currency="eur", description="a private word").status_code
            == 500
        )
    assert "sandbox: a call failed" in caplog.text
    assert "sandbox: a fault was ordered" in caplog.text
    for secret in (KEY, SECRET, "a private word", "very-own-key"):
        assert secret not in caplog.text
