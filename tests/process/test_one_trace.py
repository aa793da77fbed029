"""One order is one trace, and nobody stands in a log: the real demo with a collector, a webhook, mails and a fan.

Gate, shop, provider and the outbox's worker are processes of their own; the fan's way is played over HTTP, with a wrong
card before the right one. The same demo's log is read to its end afterwards.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.process.otlp import Collector, Told, collector
from tests.process.test_demo import Demo, demo, wait_until

pytestmark = pytest.mark.process

EVENT = "/api/events/northern-lights"
ROOM = "/.waitroom/r/main"
NAME, MAIL, ADDRESS, AGENT = (
    "Ann Zuckerberg-Example",
    "ann.z@fans.example",
    "203.0.113.77",
    "Mozilla/5.0 AnnsBrowser/7",
)
PHONE = "+491701234567"
PAY = "POST /api/events/*/orders/*/pay"
ROLES = "waitroom-gate", "waitroom-shop"
SERVER, CLIENT, CONSUMER = 2, 3, 5
ALL = {"WAITROOM_LOG_LEVEL": "debug", "WAITROOM_LOG_FORMAT": "json"}
"""Whoever looks for a fault has everything told: nobody stands in that, either."""


@dataclass
class Played:
    """A way that was played: what the collector has, the order, the log, and all that is known of the fan."""

    collector: Collector
    order: str
    log: str
    mails: list[str]
    known: set[str]

    def of(self, trace: str) -> list[Told]:
        """Give the spans of a trace."""
        return [one for one in self.collector.spans if one.trace == trace]


def bought(running: Demo, known: set[str]) -> str:
    """Come in, hold, reserve, order, pay with a wrong card and then with a right one; gives the order."""
    headers = {"x-forwarded-for": ADDRESS, "user-agent": AGENT}
    with httpx.Client(base_url=running.site, headers=headers, timeout=20) as fan:
        place = fan.post(f"{ROOM}/join", json={}).raise_for_status().json()
        known.add(place["ticket"])

        def is_in() -> bool:
            turn = fan.post(f"{ROOM}/claim", json={"target": "/"}).raise_for_status()
            if turn.status_code == 200:
                known.add(turn.json()["admission"])
            return turn.status_code == 200

        wait_until("the fan's turn has come", is_in)
        held = fan.post(
            f"{EVENT}/holds", json={"seats": [10, 11]}, headers={"idempotency-key": "two-seats"}
        ).json()
        reserved = fan.post(f"{EVENT}/holds/{held['hold']}/reserve").raise_for_status().json()
        order: str = (
            fan.post(f"{EVENT}/reservations/{reserved['reservation']}/order")
            .raise_for_status()
            .json()["order"]
        )
        contact = {"email": MAIL, "name": NAME, "language": "en"}
        fan.put(f"{EVENT}/orders/{order}/contact", json=contact).raise_for_status()

        def paid(method: str, key: str) -> httpx.Response:
            return fan.post(
                f"{EVENT}/orders/{order}/pay", json={"method": method}, headers={"idempotency-key": key}
            )

        paid("pm_nonsense", "a-first-try")
        assert paid("pm_card_visa", "a-second-try").json()["state"] in {"paid", "confirmed"}
        # What a person types where it does not belong.
        for path in (f"{EVENT}/orders/{MAIL}", f"/tickets/{PHONE}/{NAME}", f"{ROOM}/ticket?target={MAIL}"):
            assert fan.get(path).status_code < 500
        assert fan.post(f"{ROOM}/claim", json={"target": f"//{MAIL}/"}).status_code < 500
        known |= {value for value in fan.cookies.values() if len(value) > 8}
    return order


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Play it, once, until mail and webhook have gone out and every process has handed its spans over."""
    folder: Path = tmp_path_factory.mktemp("trace")
    mails, known = folder / "mails", {NAME, MAIL, ADDRESS, AGENT, PHONE}
    with collector() as own:
        post = folder / "post.toml"
        post.write_text(
            f'mail_folder = "{mails}"\nmail_from = "Aurora Hall <tickets@aurora.example>"\n'
            f'webhook_urls = ["{own.url}/hook"]\nwebhook_secret = "whsec_{"a" * 43}="\n'
        )
        environ = {
            **ALL, "WAITROOM_NOTIFICATIONS": str(post), "WAITROOM_OTLP_ENDPOINT": own.url, "WAITROOM_TRACE_RATIO": "1",
        }  # fmt: skip
        with demo(folder / "data", environ=environ) as running:
            order = bought(running, known)
            wait_until("the webhook is told", lambda: bool(own.hooks))
            wait_until("the mail is written", lambda: any(mails.glob("*")))
            known |= {
                (running.data / name).read_text().strip() for name in ("operator-token", "organiser-token")
            }
            log = running.end()
        yield Played(own, order, log, [path.read_text() for path in mails.glob("*")], known)


def the(spans: list[Told]) -> Told:
    """Give the only one."""
    (one,) = spans
    return one


def traces_of_work(own: Collector) -> set[str]:
    """Give the traces in which the outbox's worker told that an order is paid."""
    return {one.trace for one in own.named("process order-paid")}


def test_one_order_is_one_trace(played: Played) -> None:
    """Gate, shop, provider and the outbox's worker: each a process, and each step a part of the one before."""
    own = played.collector
    (trace,) = traces_of_work(own)
    inside = played.of(trace)
    came, shop = (the([one for one in inside if (one.name, one.service) == (PAY, role)]) for role in ROLES)
    out = the([one for one in inside if one.name == "origin"])
    assert (came.kind, out.kind, shop.kind) == (SERVER, CLIENT, SERVER)
    assert (came.parent, out.parent, shop.parent) == ("", came.id, out.id)

    asked = [one for one in inside if one.name.startswith("payment ")]
    heard = [one for one in inside if one.service == "waitroom-sandbox"]
    assert {"payment create", "payment confirm", "payment capture"} <= {one.name for one in asked}
    assert {one.parent for one in heard} <= {one.id for one in asked}
    assert len(heard) >= 5
    work = own.named("process order-paid")
    assert sorted(one.attributes["waitroom.channel"] for one in work) == [
        'string_value: "mail"', 'string_value: "webhook"',
    ]  # fmt: skip
    assert {one.kind for one in work} == {CONSUMER}
    # Nothing hangs in the air: every step is a part of one that is there.
    assert {one.parent for one in inside} - {one.id for one in inside} == {""}


def test_the_second_try_is_linked(played: Played) -> None:
    """It came by a request of its own, and belongs to the order all the same."""
    (trace,) = traces_of_work(played.collector)
    second = the([one for one in played.collector.named(PAY, "shop") if one.trace != trace])
    links = {link for one in played.of(trace) if one.name == "order work" for link in one.links}
    assert {one for one, _ in links} == {second.trace}


def test_a_later_visit_is_linked_to_an_earlier_one(played: Played) -> None:
    """From the order to the turn, and from the turn to the place in the line; each also to its own request."""
    own = played.collector
    join, claim = the(own.named("join")), the(own.named("claim"))
    assert (join.trace, join.id) in claim.links
    assert len(own.named("order pay")) == 2
    assert all((claim.trace, claim.id) in pay.links for pay in own.named("order pay"))
    for milestone, name in ((join, "join"), (claim, "claim")):
        requests = {(one.trace, one.id) for one in own.named(f"POST /.waitroom/r/*/{name}")}
        assert set(milestone.links) & requests


def test_the_trace_is_visible_to_whoever_is_told(played: Played) -> None:
    """The webhook continues it, and the mail names it: what a fan can tell support."""
    (trace,) = traces_of_work(played.collector)
    assert [hook["traceparent"].split("-")[1] for hook in played.collector.hooks] == [trace]
    assert [re.findall(r"(?m)^Waitroom-Trace: (\w+)", mail) for mail in played.mails] == [[trace]]
    lines = [json.loads(line) for line in played.log.splitlines()]
    assert trace in {line.get("trace_id") for line in lines}


# ------------------------------------------------------------------------------ the scan


def shown(text: str, known: set[str]) -> set[str]:
    """Give what is known of a fan and stands in a text, also as addresses and JSON write it."""
    found = set()
    for value in known:
        forms = {value, value.replace(" ", "%20"), value.replace("@", "%40"), json.dumps(value)[1:-1]}
        if any(form.lower() in text.lower() for form in forms):
            found.add(value)
    return found


def test_every_line_of_the_log_is_json(played: Played) -> None:
    """From the first to the last, of all processes; what belongs to a request names its trace."""
    lines = [json.loads(line) for line in played.log.splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    unsure = the([line for line in lines if line["message"] == "a payment is not confirmed"])  # type: ignore[arg-type]
    assert re.fullmatch(r"[0-9a-f]{32}", unsure["trace_id"])  # type: ignore[index]


def test_nobody_stands_in_the_log(played: Played) -> None:
    """No name, no mailbox, no telephone, no address, no browser; no ticket, no admission, no cookie, no secret."""
    assert len(played.known) > 8
    assert shown(played.log, played.known) == set()


def test_nobody_stands_in_a_span(played: Played) -> None:
    """The collector is somebody else's: neither names nor attributes tell of a person."""
    assert shown(played.collector.octets.decode("latin-1"), played.known) == set()


@pytest.mark.parametrize("value", [NAME, MAIL, ADDRESS, AGENT, PHONE])
def test_the_scan_finds_what_is_there(value: str, played: Played) -> None:
    """The mutant: one line more, as careless as can be."""
    assert shown(played.log + json.dumps({"message": f"to {value}"}), played.known) == {value}
