"""The file of the sandbox: all of it is there after a restart, and a cut-off end is left out."""

from pathlib import Path

import pytest

from kernel.clock import ManualClock
from kernel.errors import Misconfigured
from tests.checkout.sandbox.running import BACK, Running, running, until

PI = "/v1/payment_intents"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for the file."""
    return tmp_path / "sandbox.jsonl"


def everything(box: Running) -> list[object]:
    """Ask for all that there is."""
    return [
        *(
            box.get(f"/v1/{name}", limit=100).json()
            for name in ("payment_intents", "charges", "refunds", "disputes")
        ),
        box.get("/v1/events", limit=100).json(),
        box.ledger(),
    ]


def lived(box: Running) -> None:
    """Let something of each kind happen."""
    box.post("/v1/refunds", payment_intent=box.paid(**{"metadata[order]": "o1"})["id"], amount=7)
    box.paid("pm_card_createDispute")
    ident = box.made()["id"]
    box.post(f"{PI}/{ident}/confirm", payment_method="pm_card_chargeDeclined")
    box.post(f"{PI}/{ident}/confirm", payment_method="pm_card_authenticationRequired", return_url=BACK)


def test_a_restart_changes_nothing(path: Path, clock: ManualClock) -> None:
    """Payments, refunds, disputes, events, keys; twice in a row."""
    with running(clock, path) as box:
        lived(box)
        first = box.post(PI, "k", amount=4200, currency="eur").content
        before = everything(box)
        until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)
    for _ in range(2):
        with running(clock, path) as box:
            assert everything(box) == before
            again = box.post(PI, "k", amount=4200, currency="eur")
            assert (again.content, again.headers["idempotent-replayed"]) == (first, "true")
            assert box.get("/_sandbox/webhooks").json()["sent"] == 0


def test_what_was_due_is_done_after_the_restart(path: Path, clock: ManualClock) -> None:
    """A slow bank answers although the sandbox was away meanwhile."""
    with running(clock, path) as box:
        ident = box.made()["id"]
        box.post(f"{PI}/{ident}/confirm", payment_method="pm_sandbox_processing")
    clock.advance(3_000)
    with running(clock, path) as box:
        assert box.get(f"{PI}/{ident}").json()["status"] == "requires_capture"


def test_webhooks_that_were_not_taken_come_after_the_restart(path: Path, clock: ManualClock) -> None:
    """At least once."""
    with running(clock, path) as box:
        box.inbox.statuses = [500]
        box.made()
        until(lambda: box.get("/_sandbox/webhooks").json()["sent"] == 1)
    with running(clock, path) as box:
        until(lambda: box.inbox.kinds() == ["payment_intent.created"])


def test_an_end_by_force_loses_no_answer_and_halves_none(path: Path, clock: ManualClock) -> None:
    """What is in the file at any moment is whole: cut it anywhere in its last line, and only that call is gone."""
    with running(clock, path) as box:
        kept = box.made()["id"]
        size = path.stat().st_size
        box.post(f"{PI}/{kept}/confirm", payment_method="pm_card_visa")
        until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)
        whole = path.read_bytes()
    confirmed = whole.index(b"\n", whole.index(b'"requires_capture"'))
    for cut, status in ((size, 0), (confirmed - 1, 0), (confirmed + 1, 1)):
        path.write_bytes(whole[:cut])
        with running(clock, path) as box:
            told = box.get(f"{PI}/{kept}").json()["status"]
            assert told == ("requires_payment_method", "requires_capture")[status]
            assert box.ledger()[0]["payments"][0]["charges"] == status


def test_a_file_that_is_damaged_in_the_middle_is_not_read_over(path: Path, clock: ManualClock) -> None:
    """The sandbox says which line, and does not start."""
    with running(clock, path) as box:
        lived(box)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], lines[2][:-9], *lines[3:]]))
    with pytest.raises(Misconfigured, match="Line 3 of the sandbox's file"), running(clock, path):
        pass


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path, clock: ManualClock) -> None:
    """In one sentence."""
    with (
        pytest.raises(Misconfigured, match="cannot be used"),
        running(clock, tmp_path / "missing" / "sandbox.jsonl"),
    ):
        pass


def test_on_opening_the_file_is_written_anew(path: Path, clock: ManualClock) -> None:
    """It does not keep what things were before."""
    with running(clock, path) as box:
        ident = box.made()["id"]
        for number in range(50):
            box.post(f"{PI}/{ident}", description=f"number {number}")
    long = path.stat().st_size
    with running(clock, path) as box:
        assert box.get(f"{PI}/{ident}").json()["description"] == "number 49"
        assert path.stat().st_size < long / 3


def test_a_disk_that_is_full_leaves_no_half_line(path: Path, clock: ManualClock) -> None:
    """The call fails, and what was written before can be read."""
    with running(clock, path) as box:
        kept = box.made()["id"]
        until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)
        journal = box.sandbox._journal
        assert journal._file is not None
        file, size = journal._file, path.stat().st_size

        class Full:
            tell, truncate, close = file.tell, file.truncate, file.close

            @staticmethod
            def write(line: bytes) -> int:
                return file.write(line[: len(line) // 2])

        journal._file = Full()  # type: ignore[assignment]
        assert box.post(PI, amount=1, currency="eur").status_code == 500
        assert path.stat().st_size == size
    with running(clock, path) as box:
        assert [one["id"] for one in box.get(PI).json()["data"]] == [kept]


def test_events_that_are_safe_make_room(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not stay, up to a bound."""
    monkeypatch.setattr("checkout.sandbox.book.EVENTS_KEPT", 5)
    monkeypatch.setattr("checkout.sandbox.book.EVENTS_MOST", 8)
    with running(clock) as box:
        for _ in range(12):
            box.made()
            until(lambda: box.get("/_sandbox/webhooks").json()["unsafe"] == 0)
        assert len(box.get("/v1/events", limit=100).json()["data"]) == 5
        box.fault("webhook-lost", count=100)
        for _ in range(12):
            box.made()
        assert len(box.get("/v1/events", limit=100).json()["data"]) == 8
