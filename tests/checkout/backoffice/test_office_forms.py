"""The office's forms: who may send one, what a second press does, what money needs, and what each says to bad input."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.responses import Response

from checkout.backoffice import office as office_module
from checkout.backoffice.asking import NotDone
from checkout.backoffice.order_pages import typed_amount
from checkout.backoffice.presses import Presses, press_name
from checkout.notifications.message import Kind, message_id
from checkout.people.staff import StaffRole
from checkout.tables import MONEY, OUTBOX_SENDS, REFUNDS, TICKETS
from tests.checkout.offices import AT, Browser, OpenOffice, key_of, opened
from tests.checkout.reservations import EVENT

LONG = "4242 4242 4242 4242"
"""May be a card's number."""


def refunds(own: OpenOffice) -> list[tuple[str, int]]:
    """Read every refund: its key and how much."""
    with own.desk.shop.scene.database.reading() as connection:
        rows = connection.execute(
            sa.select(REFUNDS.c.key, REFUNDS.c.amount_minor).order_by(REFUNDS.c.created_ms)
        )
        return [(key, minor) for key, minor in rows]


def rows(own: OpenOffice) -> list[Any]:
    """Read everything that a form could have changed."""
    with own.desk.shop.scene.database.reading() as connection:
        return [
            connection.execute(sa.select(table)).all() for table in (REFUNDS, MONEY, TICKETS, OUTBOX_SENDS)
        ]


async def back_of(browser: Browser, answer: httpx.Response) -> str:
    """Follow a form's answer to the page that it shows."""
    assert answer.status_code == 303, answer.text
    return (await browser.client.get(answer.headers["location"])).text


# --------------------------------------------------------------------------------------------- money


async def test_money_goes_back_with_a_second_factor_and_never_more_than_there_is(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """A part, then all that is left; too much is refused with what is left, and keeps what was typed."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida = await own.enter()
        none = await ida.send(f"/orders/{order}/refunds", amount="10", reason="asked for")
        codes = own.codes()
        missing = await ida.send(f"/orders/{order}/refunds", amount="10", reason="asked for")
        nothing = refunds(own)
        part = await ida.send(f"/orders/{order}/refunds", amount="10,50", reason="asked for", code=codes[0])
        told = await back_of(ida, part)
        much = await ida.send(f"/orders/{order}/refunds", amount="73.51", reason="<all>", code=codes[1])
        rest = await ida.send(f"/orders/{order}/refunds", reason="the rest", code=codes[2])
        over = await back_of(ida, rest)
        made = refunds(own)

    assert (none.status_code, "You have no second factor yet" in none.text) == (403, True)
    assert (missing.status_code, "Show a second factor as well" in missing.text) == (403, True)
    assert nothing == []
    assert "The money went back." in told
    assert much.status_code == 409
    assert "At most €73.50 can go back." in much.text
    assert 'value="73.51"' in much.text
    assert 'value="&lt;all&gt;"' in much.text
    assert [minor for _, minor in made] == [1050, 7350]
    assert "all went back" in over


async def test_a_second_press_gives_nothing_back_twice(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """At the same worker at once or later, and at another one, where the code is worn by then."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida, codes = await own.enter(), own.codes()
        key = key_of((await ida.look(f"/orders/{order}")).text, "refund")
        form = {"amount": "10", "reason": "asked for", "key": key, "code": codes[0]}
        both = await asyncio.gather(*(ida.send(f"/orders/{order}/refunds", **form) for _ in range(2)))
        later = await ida.send(f"/orders/{order}/refunds", **form)
        own.office._presses = Presses()
        elsewhere = await back_of(ida, await ida.send(f"/orders/{order}/refunds", **form))
        other = await ida.send(f"/orders/{order}/refunds", **{**form, "amount": "11", "code": codes[1]})
        made = refunds(own)

    assert made == [(key, 1000)]
    assert {answer.headers["location"] for answer in (*both, later)} == {both[0].headers["location"]}
    assert "This refund was made before" in elsewhere
    # The same key with another amount is another wish, and no wish of this form.
    assert (other.status_code, "sent before with something else" in other.text) == (422, True)


async def test_without_the_key_a_second_press_gives_money_back_twice(
    quick_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a form's key is not handed on, each press is one of its own."""
    names = iter(range(99))
    monkeypatch.setattr(office_module, "press_name", lambda *_: str(next(names)).encode())
    asked = office_module.Asking.ask

    async def keyless(own: Any, scope: Any, session: Any, wish: Any) -> Any:
        changed = {"key": f"k{next(names)}"} if wish.key else {}
        return await asked(own, scope, session, type(wish)(**{**_fields(wish), **changed}))

    monkeypatch.setattr(office_module.Asking, "ask", keyless)
    with pytest.raises(AssertionError):
        await test_a_second_press_gives_nothing_back_twice(quick_url, store_url, tmp_path)


def _fields(wish: Any) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in type(wish).__dataclass_fields__}


async def test_a_refund_that_failed_is_tried_again(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """From the list of what waits to the order's page; it needs a factor as well."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida, codes = await own.enter(), own.codes()
        own.desk.shop.bank.set("pay-1", captured_minor=0)
        failed = await back_of(ida, await ida.send(f"/orders/{order}/refunds", reason="x", code=codes[0]))
        own.desk.shop.bank.set("pay-1", captured_minor=8400)
        await own.desk.shop.worker.notices.hear("bank", b"n1:pay-1", {"signed": "yes"})
        listed = await ida.look("/waiting")
        key = refunds(own)[0][0]
        bare = await ida.send(f"/orders/{order}/refunds/retry", refund=key)
        again = await ida.send(f"/orders/{order}/refunds/retry", refund=key, code=codes[1])

    # It is told as what it is, and not as done.
    assert "The provider refused the refund" in failed
    assert order in listed.text
    assert (bare.status_code, again.status_code) == (403, 303)


# ------------------------------------------------------------------------------------ tickets and mail


async def test_a_ticket_is_made_anew_once_and_withdrawn(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """A second press shows the same; the old ticket counts no more, and a withdrawn one for nobody."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid("ann", 0))["order"]
        ida = await own.enter()
        with own.desk.shop.scene.database.reading() as connection:
            first = connection.scalar(sa.select(TICKETS.c.id))
        form = {"ticket": str(first), "key": "k"}
        anew = [await ida.send(f"/orders/{order}/tickets/reissue", **form) for _ in range(2)]
        told = await back_of(ida, anew[1])
        own.office._presses = Presses()
        worn = await ida.send(f"/orders/{order}/tickets/reissue", **form)
        with own.desk.shop.scene.database.reading() as connection:
            second = connection.scalar(sa.select(TICKETS.c.id).where(TICKETS.c.state == "valid"))
            count = connection.scalar(sa.select(sa.func.count()).select_from(TICKETS))
        gone = await back_of(ida, await ida.send(f"/orders/{order}/tickets/withdraw", ticket=str(second)))

    assert count == 2
    assert "made anew" in told
    assert (worn.status_code, "does not count any more" in worn.text) == (409, True)
    assert "The ticket was withdrawn." in gone
    assert "/tickets/reissue" not in gone


async def test_tickets_are_mailed_again(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """Once for each press of a new form; where nothing was sent yet the page says so."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida = await own.enter(StaffRole.SUPPORT)
        none = await ida.send(f"/orders/{order}/letters/resend")
        with own.desk.shop.scene.database.writing() as connection:
            name = message_id(Kind.ORDER_PAID, order)
            row = {"message_id": name, "channel": "mail", "event_id": EVENT, "state": "sent"}
            connection.execute(sa.insert(OUTBOX_SENDS).values(**row, tries=1, due_ms=1, sent_ms=1, why=""))
        sent = [await ida.send(f"/orders/{order}/letters/resend", key="k") for _ in range(2)]
        told = await back_of(ida, sent[1])
        with own.desk.shop.scene.database.reading() as connection:
            asked = connection.scalar(sa.select(OUTBOX_SENDS.c.asked))

    assert (none.status_code, "No tickets were sent" in none.text) == (404, True)
    assert asked == 1
    assert "sent once more" in told


# ------------------------------------------------------------------------------------------ guards

FOREIGN: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({"csrf": ""}, {}, "did not come from our own page"),
    ({"csrf": "another session's"}, {}, "did not come from our own page"),
    ({}, {"sec-fetch-site": "cross-site"}, "came from another site"),
    ({}, {"sec-fetch-site": "same-site"}, "came from another site"),
    ({"key": ""}, {}, "came without its key"),
    ({"key": "a key with spaces"}, {}, "came without its key"),
]


async def test_no_other_page_acts_through_the_office(quick_url: str, store_url: str, tmp_path: Path) -> None:
    """Without the session's paper or its key, or from another site, nothing changes."""
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida, codes = await own.enter(), own.codes()
        before, found = rows(own), []
        for (fields, headers, _said), code in zip(FOREIGN, codes, strict=False):
            own_headers = dict(ida.client.headers)
            ida.client.headers.update(headers)
            form = {"reason": "x", "code": code, **fields}
            found.append(await ida.send(f"/orders/{order}/refunds", **form))
            ida.client.headers = httpx.Headers(own_headers)
        after = rows(own)

    assert {answer.status_code for answer in found} <= {400, 403}
    assert all(said in answer.text for answer, (_, _, said) in zip(found, FOREIGN, strict=True))
    assert before == after


async def test_without_the_look_at_the_paper_another_page_would_act(
    quick_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whatever is sent is taken for the session's own paper."""
    monkeypatch.setattr(office_module, "check_paper", lambda *_: None)
    with pytest.raises(AssertionError):
        await test_no_other_page_acts_through_the_office(quick_url, store_url, tmp_path)


async def test_no_link_makes_a_page_say_that_something_was_done(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """What was done is said with a paper of the session only."""
    async with opened(quick_url, store_url, tmp_path) as own:
        ida, eva = await own.enter(), await own.enter(StaffRole.OWNER)
        order = (await own.desk.shop.paid())["order"]
        sent = await ida.send(f"/orders/{order}/refunds", reason="x", code=own.codes()[0])
        forged = await ida.look(f"/orders/{order}", said="refund-done", paper="x")
        bare = await ida.look(f"/orders/{order}", said="refund-done")
        unknown = await ida.look(f"/orders/{order}", said="x", paper="x")
        ours = await ida.client.get(sent.headers["location"])
        theirs = await eva.client.get(sent.headers["location"])

    assert "The money went back." in ours.text
    assert all("The money went back." not in one.text for one in (forged, bare, unknown, theirs))


# ---------------------------------------------------------------------------------------- bad inputs

NOBODY = "OAAAAAAAAAAA"
BAD: list[tuple[str, dict[str, str], int, str]] = [
    ("refunds", {}, 422, "reason: it must be a text of 1 to 500 characters"),
    ("refunds", {"reason": " "}, 422, "reason: it must be"),
    ("refunds", {"reason": "x" * 501}, 422, "reason: it must be"),
    ("refunds", {"reason": LONG}, 422, "must not have a card&#39;s number"),
    ("refunds", {"reason": "x", "amount": "0"}, 422, "amount_minor: it must be"),
    ("refunds", {"reason": "x", "amount": "-1"}, 422, "This is no amount"),
    ("refunds", {"reason": "x", "amount": "1.234"}, 422, "This is no amount"),
    ("refunds", {"reason": "x", "amount": "1e3"}, 422, "This is no amount"),
    ("refunds", {"reason": "x", "amount": "9" * 13}, 422, "This is no amount"),
    ("refunds", {"reason": "x", "amount": "٣"}, 422, "This is no amount"),
    ("refunds", {"reason": "x", "amount": "84.01"}, 409, "At most €84.00 can go back"),
    ("refunds", {"reason": "x" * 5000}, 413, "That did not work"),
    ("refunds/retry", {}, 404, "There is nothing at this address"),
    ("refunds/retry", {"refund": "nobody"}, 404, "There is no such order, or no such refund"),
    ("letters/resend", {}, 404, "No tickets were sent"),
    ("tickets/reissue", {}, 404, "There is nothing at this address"),
    ("tickets/reissue", {"ticket": "x"}, 404, "There is no such ticket"),
    ("tickets/reissue", {"ticket": "x/withdraw"}, 404, "There is nothing at this address"),
    ("tickets/withdraw", {"ticket": "x"}, 404, "There is no such ticket"),
    ("release", {}, 404, "Nobody has to look at this order"),
    ("refuse", {"note": LONG}, 422, "must not have a card&#39;s number"),
    ("refuse", {"note": "x" * 501}, 422, "note: it must be"),
]


async def test_what_cannot_be_is_told_on_the_order_and_changes_nothing(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """Each form with each thing that it cannot take: one page that says so, and every row as it was."""
    found = []
    async with opened(quick_url, store_url, tmp_path) as own:
        order = (await own.desk.shop.paid())["order"]
        ida, codes = await own.enter(), [*own.codes(), *own.codes()]
        before = rows(own)
        for path, fields, _status, _said in BAD:
            # Codes are given anew as they are worn.
            codes = codes[1:] or list(own.codes())
            own.factors.remove("the-organiser")
            answer = await ida.send(f"/orders/{order}/{path}", **{"code": own.codes()[0], **fields})
            found.append((answer.status_code, answer.text))
        strange = await ida.send(f"/orders/{NOBODY}/refunds", reason="x", code=own.codes()[0])
        twice = await ida.client.post(
            f"{AT}/orders/{order}/refunds",
            content=f"csrf={ida.csrf}&key=k&reason=a&reason=b&code={own.codes()[0]}",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        kind = await ida.client.post(f"{AT}/orders/{order}/refunds", json={"csrf": ida.csrf, "key": "k"})
        after = rows(own)

    assert before == after
    for (status, text), (path, fields, wanted, said) in zip(found, BAD, strict=True):
        assert (status, said in text) == (wanted, True), (path, fields, status)
    assert (strange.status_code, twice.status_code, kind.status_code) == (404, 400, 415)
    assert all("</html>" in one.text for one in (strange, twice, kind))


LISTS: list[tuple[dict[str, str], int]] = [
    ({"state": "x"}, 422),
    ({"card": "12345"}, 422),
    ({"after": "x"}, 422),
    ({"from": "x"}, 422),
    ({"until": "9" * 400}, 422),
    ({"buyer": "x" * 201}, 422),
    ({"from": "2027-01-15T00:00", "until": "2027-01-16T00:00", "state": "paid"}, 200),
    ({"more": "x"}, 200),
]


async def test_a_list_that_cannot_be_asked_for_says_so(
    quick_url: str, store_url: str, tmp_path: Path
) -> None:
    """And keeps what was asked in its fields."""
    async with opened(quick_url, store_url, tmp_path) as own:
        ida = await own.enter()
        found = [await ida.look("/orders", **query) for query, _ in LISTS]
        go = await ida.client.get("/staff/office/go", params={"event": "x"})
        there = await ida.client.get("/staff/office/go", params={"event": EVENT, "to": "money"})

    assert [one.status_code for one in found] == [status for _, status in LISTS]
    assert 'value="12345"' in found[1].text
    assert (go.status_code, there.headers["location"]) == (404, f"{AT}/money")


async def test_a_failure_of_ours_is_told_with_its_reference(
    quick_url: str,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In words, and nothing internal; the log has the same reference."""
    async with opened(quick_url, store_url, tmp_path) as own:
        ida = await own.enter()

        async def broken(*_: Any) -> Any:
            raise RuntimeError("a secret of the inside")

        monkeypatch.setattr(own.office._asking, "ask", broken)
        answer = await ida.client.get("/staff/office")

    reference = caplog.records[-1].reference  # type: ignore[attr-defined]
    assert answer.status_code == 500
    assert reference in answer.text
    assert "inside" not in answer.text


# ------------------------------------------------------------------------------------------ pure parts


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12", "EUR", 1200), ("12.5", "EUR", 1250), ("12,50", "EUR", 1250), ("0,01", "EUR", 1), ("500", "JPY", 500),
        ("1.234", "BHD", 1234), ("999999999999", "EUR", 99_999_999_999_900),
    ],
)  # fmt: skip
def test_an_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    """In the currency's own unit, to whole minor units."""
    assert typed_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("", "EUR"), ("1.", "EUR"), (".5", "EUR"), ("1.5", "JPY"), ("1 000", "EUR"), ("NaN", "EUR")],
)
def test_what_is_no_amount_is_none(text: str, currency: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(NotDone):
        typed_amount(text, currency)


async def test_a_press_is_kept_for_its_like_and_not_when_it_went_wrong() -> None:
    """What was refused may be sent again; the oldest goes first; one who goes away stops nothing."""
    presses, done = Presses(most=1), []

    async def act(status: int) -> Response:
        done.append(status)
        return Response(status_code=status)

    for name, status in ((b"a", 403), (b"a", 303), (b"a", 200), (b"b", 303), (b"a", 303)):
        await presses.once(name, lambda status=status: act(status))

    async def broken() -> Response:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await presses.once(b"c", broken)

    assert done == [403, 303, 303, 303]


def test_a_press_has_the_name_of_its_wish() -> None:
    """The code and the paper make no other wish; session, address and everything else do."""
    form = {"amount": ["1"], "key": ["k"]}
    same = press_name("s", "/a", {**form, "code": ["1"], "csrf": ["x"]})
    others = {
        press_name("t", "/a", form), press_name("s", "/b", form), press_name("s", "/a", {**form, "amount": ["2"]}),
        press_name("s", "/a", {"amount": ["1", "k"], "key": []}),
    }  # fmt: skip

    assert press_name("s", "/a", form) == same
    assert len(others | {same}) == 5
