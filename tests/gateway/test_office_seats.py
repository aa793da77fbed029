"""The back office over HTTP: seats that are blocked, prices, doors, staff, and what is kept of people."""

import re
from pathlib import Path

import pytest

from checkout.backoffice import prices_pages
from checkout.people.staff import StaffRole
from tests.gateway.office_front import EVENT, OFFICE, figures, hidden, working
from tests.gateway.staff_front import ORIGIN

# ------------------------------------------------------------------------------------------ seats


async def test_seats_are_blocked_after_a_look_and_put_on_sale_by_one_button(
    store_url: str, tmp_path: Path
) -> None:
    """Of those named the free ones, for an allocation; and back."""
    async with working(store_url, tmp_path) as ida:
        rows = ida.front.till.shop.parts.catalogue._rows_of("summer")
        await ida.send(f"{EVENT}/blocks/block", {"seats": "0"})
        text = "Stalls / A / 1-4\nFloor / 2"
        look = await ida.send(f"{EVENT}/blocks/look", {"seats": text, "act": "block", "allocation": "fans"})
        done = await ida.send(
            f"{EVENT}/blocks/block",
            {"seats": hidden(look, "seats"), "allocation": hidden(look, "allocation")},
        )
        kept = rows.allocated("summer", "fans")
        after = await ida.get(done.headers["location"])
        undone = await ida.send(f"{EVENT}/blocks/unblock", {"seats": hidden(after, "seats")})
        left = rows.allocated("summer", "fans")
        octets = rows.octets("summer")

    assert figures(look) == {"named": "6", "fits": "5", "in-way": "1"}
    assert "Stalls / A / 2-4" in look.text
    assert kept == [1, 2, 3, 43, 44]
    assert "Undo" in after.text
    assert undone.status_code == 303
    assert left == []
    assert [seat for seat, octet in enumerate(octets) if octet & 15 == 4] == [0]


async def test_seats_that_somebody_took_meanwhile_are_named(store_url: str, tmp_path: Path) -> None:
    """Nothing has changed then."""
    async with working(store_url, tmp_path) as ida:
        rows = ida.front.till.shop.parts.catalogue._rows_of("summer")
        look = await ida.send(f"{EVENT}/blocks/look", {"seats": "Stalls / A / 1-4", "act": "block"})
        rows.block("summer", [2])
        busy = await ida.send(f"{EVENT}/blocks/block", {"seats": hidden(look, "seats"), "allocation": ""})

    assert busy.status_code == 409
    assert "Stalls / A / 3" in busy.text


SEATS: list[tuple[str, dict[str, str], int, str]] = [
    ("blocks/look", {"seats": "", "act": "block"}, 422, "Line 1: It names no seat."),
    ("blocks/look", {"seats": "Balcony", "act": "block"}, 422, "Line 1: There is no section “Balcony”."),
    ("blocks/look", {"seats": "Stalls/A/99", "act": "unblock"}, 422, "no seat “99”"),
    ("blocks/look", {"seats": "<b>", "act": "block"}, 422, "“&lt;b&gt;”"),
    ("blocks/look", {"seats": "Side", "act": "sell"}, 422, "Press one of the two buttons."),
    ("blocks/look", {"seats": "Side"}, 422, "Press one of the two buttons."),
    ("blocks/block", {"seats": ""}, 422, "The seats cannot be read."),
    ("blocks/block", {"seats": "x"}, 422, "The seats cannot be read."),
    ("blocks/block", {"seats": "45"}, 422, "no seats of this hall"),
    ("blocks/block", {"seats": "1", "allocation": "nobody"}, 422, "There is no such allocation."),
    ("blocks/unblock", {"seats": "1"}, 409, "meanwhile"),
    ("blocks/unblock", {"seats": "1-"}, 422, "The seats cannot be read."),
    ("blocks/allocation", {"name": "", "channel": "x"}, 422, "small letters"),
    ("blocks/allocation", {"name": "press", "channel": "Not A Slug"}, 422, "small letters"),
    (
        "blocks/allocation",
        {"name": "press", "channel": "p", "allocation-code": "x" * 65},
        422,
        "at most 64",
    ),
    ("tiers/look", {"tier": "1", "seats": ""}, 422, "Name seats, or choose a section."),
    ("tiers/look", {"tier": "7", "seats": "Side"}, 422, "There is no such price group."),
    ("tiers/look", {"tier": "x", "seats": "Side"}, 422, "There is no such price group."),
    ("tiers/look", {"tier": "1", "sections": "9"}, 422, "There is no such section."),
    ("tiers/look", {"tier": "1", "seats": "nowhere"}, 422, "There is no section “nowhere”."),
    ("tiers", {"tier": "1", "seats": "x"}, 422, "The seats cannot be read."),
    ("tiers", {"tier": "1", "seats": ""}, 422, "no seats of this hall"),
]


async def test_bad_inputs_of_seats(store_url: str, tmp_path: Path) -> None:
    """The table: nothing is changed, and the page says why."""
    async with working(store_url, tmp_path) as ida:
        rows = ida.front.till.shop.parts.catalogue._rows_of("summer")
        before = rows.octets("summer")
        answers = [await ida.send(f"{EVENT}/{path}", fields) for path, fields, _, _ in SEATS]
        after = rows.octets("summer")

    for answer, (path, fields, status, said) in zip(answers, SEATS, strict=True):
        assert (answer.status_code, said in answer.text) == (status, True), (path, fields)
    assert before == after


async def test_an_allocation_is_kept(store_url: str, tmp_path: Path) -> None:
    """With its code, which nobody is told again."""
    async with working(store_url, tmp_path) as ida:
        done = await ida.send(
            f"{EVENT}/blocks/allocation", {"name": "press", "channel": "desk", "allocation-code": "SECRET"}
        )
        page = await ida.get(f"{EVENT}/blocks")

    assert done.status_code == 303
    assert 'data-group="press"' in page.text
    assert "SECRET" not in page.text


# ----------------------------------------------------------------------------------------- prices


async def test_prices_are_changed_after_a_look_with_a_second_factor(store_url: str, tmp_path: Path) -> None:
    """Old and new stand beside each other with the seats; without a code nothing happens, and the form is kept."""
    async with working(store_url, tmp_path) as ida:
        catalogue = ida.front.till.shop.parts.catalogue
        look = await ida.send(f"{EVENT}/prices/look", {"p-0-EUR": "45", "p-1-EUR": "25.00"})
        fields = {"p-0-EUR": hidden(look, "p-0-EUR"), "version": hidden(look, "version")}
        bare = await ida.send(f"{EVENT}/prices", {**fields, "code": ""})
        code = await ida.code()
        done = await ida.send(f"{EVENT}/prices", {**fields, "code": code})
        late = await ida.send(f"{EVENT}/prices", {**fields, "p-0-EUR": "99", "code": await ida.code()})
        amounts = (await catalogue.committed("summer")).prices.amounts

    assert "€42.00" in look.text
    assert "€45.00" in look.text
    assert "Back" not in look.text.split('id="changes"')[1].split("</table>")[0]
    assert bare.status_code == 403
    assert hidden(bare, "p-0-EUR") == "45"
    assert (done.status_code, late.status_code) == (303, 412)
    assert amounts[0] == {"EUR": 4500, "JPY": 7000}


async def test_without_the_look_at_the_version_an_overtaken_change_counts(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: whoever confirms what they saw before somebody else's change overwrites it."""
    async with working(store_url, tmp_path) as ida:
        look = await ida.send(f"{EVENT}/prices/look", {"p-0-EUR": "45"})
        await ida.front.till.shop.parts.catalogue.set_prices("summer", {0: {"EUR": 5000}})
        fields = {"p-0-EUR": "45", "version": hidden(look, "version")}
        guarded = await ida.send(f"{EVENT}/prices", {**fields, "code": await ida.code()})
        monkeypatch.setattr(prices_pages, "is_overtaken", lambda *_: False)
        mutant = await ida.send(f"{EVENT}/prices", {**fields, "code": await ida.code()})

    assert (guarded.status_code, mutant.status_code) == (412, 303)
    assert "€50.00" in guarded.text


async def test_a_currency_is_added_with_all_its_prices(store_url: str, tmp_path: Path) -> None:
    """A column of its own; a price that is missing is refused by the API, in words."""
    async with working(store_url, tmp_path) as ida:
        code = await ida.code()
        column = await ida.get(f"{EVENT}/prices?currency=chf")
        half = await ida.send(f"{EVENT}/prices/look", {"currency": "CHF", "p-0-CHF": "40"})
        refused = await ida.send(
            f"{EVENT}/prices",
            {"currency": "CHF", "p-0-CHF": "40", "version": hidden(half, "version"), "code": code},
        )
        fields = {"currency": "CHF", "p-0-CHF": "40", "p-1-CHF": "25", "version": hidden(half, "version")}
        done = await ida.send(f"{EVENT}/prices", {**fields, "code": await ida.code()})
        prices = (await ida.front.till.shop.parts.catalogue.committed("summer")).prices

    assert 'name="p-1-CHF"' in column.text
    assert (refused.status_code, done.status_code) == (422, 303)
    assert "Price group 1: A price in CHF is missing." in refused.text
    assert prices.amounts[1]["CHF"] == 2500


PRICES: list[tuple[dict[str, str], str]] = [
    ({"p-0-EUR": ""}, "It must be an amount"),
    ({"p-0-EUR": "-1"}, "It must be an amount"),
    ({"p-0-EUR": "1.234"}, "more decimals"),
    ({"p-0-JPY": "1.5"}, "more decimals"),
]


async def test_bad_inputs_of_prices(store_url: str, tmp_path: Path) -> None:
    """Beside the price, with what was typed; at the look and at the change."""
    async with working(store_url, tmp_path) as ida:
        for fields, said in PRICES:
            for path in ("prices/look", "prices"):
                answer = await ida.send(f"{EVENT}/{path}", fields)
                assert (answer.status_code, said in answer.text) == (422, True), fields
                assert f'value="{next(iter(fields.values()))}"' in answer.text, fields


async def test_seats_go_into_another_tier_after_a_look(store_url: str, tmp_path: Path) -> None:
    """Whole sections, and seats beside them."""
    async with working(store_url, tmp_path) as ida:
        look = await ida.send(f"{EVENT}/tiers/look", {"tier": "0", "sections": "1", "seats": "Floor / 2"})
        done = await ida.send(
            f"{EVENT}/tiers", {"tier": "0", "sections": "1", "seats": hidden(look, "seats")}
        )
        octets = ida.front.till.shop.parts.catalogue._rows_of("summer").octets("summer")
        known = await ida.front.till.shop.parts.catalogue.committed("summer")

    assert figures(look) == {"named": "7", "from-1": "7", "kept": "0"}
    assert hidden(look, "seats") == "43-44"
    assert done.status_code == 303
    assert [seat for seat, octet in enumerate(octets) if octet >> 4 == 0] == [*range(25), 43, 44]
    assert known.section_tiers[1] == 0


# ------------------------------------------------------------------------- doors, staff, people


async def test_a_gate_gets_a_key_that_is_shown_once(store_url: str, tmp_path: Path) -> None:
    """Its link, also as a picture; a second press shows the same one; and it is revoked."""
    async with working(store_url, tmp_path) as ida:
        fields = {"name": "North", "until": "2099-01-01T00:00", "key": "one-press"}
        far = await ida.send(f"{EVENT}/scanners", fields)
        starts = (await ida.front.till.shop.parts.catalogue.committed("summer")).event.starts_ms
        page = await ida.get(f"{EVENT}/doors")
        until = re.findall(r'name="until"[^>]* value="([^"]*)"', page.text)[0]
        made = await ida.send(f"{EVENT}/scanners", {"name": "North", "until": until, "key": "two"})
        twice = await ida.send(f"{EVENT}/scanners", {"name": "North", "until": until, "key": "two"})
        page = await ida.get(f"{EVENT}/doors")
        revoke = re.findall(rf'action="({EVENT}/scanners/[^"]+/revoke)"', page.text)[0]
        unsure = await ida.send(revoke, {})
        done = await ida.send(revoke, {"sure": "yes"})
        gone = await ida.send(revoke, {"sure": "yes"})

    token = re.findall(r'id="token">([^<]+)', made.text)[0]
    assert starts > 0
    assert (far.status_code, made.status_code) == (422, 201)
    assert "a moment to come, within 400 days" in far.text
    assert f"{ORIGIN}/scan/summer#" in made.text
    assert "<svg" in made.text
    assert token in twice.text
    assert token not in page.text
    assert (unsure.status_code, done.status_code, gone.status_code) == (422, 303, 404)


SCANNERS: list[tuple[dict[str, str], str]] = [
    ({"name": "", "until": "2026-12-05T20:00"}, "a text of 1 to 60 characters"),
    ({"name": "x" * 61, "until": "2026-12-05T20:00"}, "a text of 1 to 60 characters"),
    ({"name": "North", "until": ""}, "It must be a date with a time."),
    ({"name": "North", "until": "2001-01-01T00:00"}, "a moment to come"),
]


async def test_bad_inputs_of_a_scanner(store_url: str, tmp_path: Path) -> None:
    """Beside the field; no key is made."""
    async with working(store_url, tmp_path) as ida:
        answers = [await ida.send(f"{EVENT}/scanners", fields) for fields, _ in SCANNERS]
        page = await ida.get(f"{EVENT}/doors")

    for answer, (fields, said) in zip(answers, SCANNERS, strict=True):
        assert (answer.status_code, said in answer.text) == (422, True), fields
    assert "No gate has a key yet." in page.text


async def test_an_owner_looks_after_staff(store_url: str, tmp_path: Path) -> None:
    """Invites, gives another role, removes: each with a second factor; who was there last is told."""
    async with working(store_url, tmp_path, StaffRole.OWNER) as ida:
        fields = {"name": "anna", "email": "anna@example.org", "role": "support", "days": "30"}
        bare = await ida.send(f"{OFFICE}/team", fields)
        made = await ida.send(f"{OFFICE}/team", {**fields, "code": await ida.code()})
        changed = await ida.send(f"{OFFICE}/team/anna/role", {"role": "viewer", "code": await ida.code()})
        page = await ida.get(f"{OFFICE}/team")
        unsure = await ida.send(f"{OFFICE}/team/anna/remove", {"code": await ida.code()})
        gone = await ida.send(f"{OFFICE}/team/anna/remove", {"sure": "yes", "code": await ida.code()})
        after = await ida.get(f"{OFFICE}/team")

    assert bare.status_code == 403
    assert 'value="anna@example.org"' in bare.text
    assert (made.status_code, changed.status_code, unsure.status_code, gone.status_code) == (
        303,
        303,
        422,
        303,
    )
    assert 'data-name="anna"' in page.text
    assert "invited, until" in page.text
    assert "anna@example.org" not in page.text
    assert 'data-name="anna"' not in after.text


STAFF: list[tuple[str, dict[str, str], int, str]] = [
    (
        "team",
        {"name": "Anna", "email": "a@example.org", "role": "viewer", "days": "3"},
        422,
        "Small letters, digits",
    ),
    (
        "team",
        {"name": "anna", "email": "nobody", "role": "viewer", "days": "3"},
        422,
        "cannot be invited so",
    ),
    (
        "team",
        {"name": "anna", "email": "a@example.org", "role": "king", "days": "3"},
        422,
        "cannot be invited so",
    ),
    (
        "team",
        {"name": "anna", "email": "a@example.org", "role": "viewer", "days": "x"},
        422,
        "a whole number",
    ),
    (
        "team",
        {"name": "anna", "email": "a@example.org", "role": "viewer", "days": "0"},
        422,
        "cannot be invited so",
    ),
    (
        "team",
        {"name": "ida", "email": "a@example.org", "role": "viewer", "days": "3"},
        409,
        "somebody&#39;s already",
    ),
    ("team/nobody/role", {"role": "viewer"}, 404, "nobody of this name"),
    ("team/ida/role", {"role": "king"}, 422, "cannot be invited so"),
    ("team/nobody/remove", {"sure": "yes"}, 404, "nobody of this name"),
]


async def test_bad_inputs_of_staff(store_url: str, tmp_path: Path) -> None:
    """Nobody is invited."""
    async with working(store_url, tmp_path, StaffRole.OWNER) as ida:
        answers = [
            await ida.send(f"{OFFICE}/{path}", {**fields, "code": await ida.code()})
            for path, fields, _, _ in STAFF
        ]
        names = [one.name for one in ida.front.people.staff_people.all()]

    for answer, (path, fields, status, said) in zip(answers, STAFF, strict=True):
        assert (answer.status_code, said in answer.text) == (status, True), (path, fields)
    assert names == ["ida"]


async def test_people_are_told_what_is_kept_and_it_is_erased(store_url: str, tmp_path: Path) -> None:
    """By an address in a form; who erases says that they mean it."""
    async with working(store_url, tmp_path, StaffRole.SUPPORT) as ida:
        async with ida.front.till.browser() as ann:
            order = await ida.front.till.order(ann, "ann", 1, 2)
            kept = await ann.put(
                f"/api/events/summer/orders/{order}/contact",
                json={"email": "ann@example.org", "language": "en"},
                headers={"x-buyer": "ann", "origin": "http://shop.test"},
            )
        found = await ida.send(f"{OFFICE}/people/find", {"email": "ann@example.org"})
        path = f"{EVENT}/orders/{order}"
        told = await ida.get(f"{path}/personal")
        unsure = await ida.send(f"{path}/erase", {})
        gone = await ida.send(f"{path}/erase", {"sure": "yes"})
        after = await ida.send(f"{OFFICE}/people/find", {"email": "ann@example.org"})

    assert kept.status_code in {200, 201, 204}, kept.text
    assert f'href="{path}/personal"' in found.text
    assert "ann@example.org" in told.text
    assert (unsure.status_code, gone.status_code) == (422, 303)
    assert "No order has this address." in after.text


async def test_bad_inputs_of_people(store_url: str, tmp_path: Path) -> None:
    """No address, no answer."""
    async with working(store_url, tmp_path, StaffRole.SUPPORT) as ida:
        for email in ("", "nobody", "a@b@c", "x" * 300):
            answer = await ida.send(f"{OFFICE}/people/find", {"email": email})
            assert (answer.status_code, "This is no mail address." in answer.text) == (400, True), email
        nobody = await ida.get(f"{EVENT}/orders/nothing/personal")
        nowhere = await ida.send(f"{EVENT}/waitlist/x/forget", {"sure": "yes"})

    assert (nobody.status_code, nowhere.status_code) == (404, 404)
