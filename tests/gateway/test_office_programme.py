"""The programme's half of the back office over HTTP: every page, a house, its plan as a file, an event."""

import re
from pathlib import Path

from checkout.people.staff import StaffRole
from tests.gateway.office_front import EVENT, OFFICE, Worker, figures, hidden, working

CSV = b"section,row,number,x,y,tier\nStalls,A,1,0,0,Front\nStalls,A,2,100,0,Back\n"
HOUSE = {"venue": "barn", "name": "Barn", "city": "Lund", "country": "se", "time_zone": "Europe/Stockholm"}


async def test_every_page_is_shown_in_both_languages(store_url: str, tmp_path: Path) -> None:
    """To an owner, who sees all of them."""
    pages = [
        "/venues", "/venues/old-mill", "/new-event", "/people", "/team", "/events/summer/about",
        "/events/summer/cancel", "/events/summer/hall", "/events/summer/blocks", "/events/summer/prices",
        "/events/summer/prices?currency=chf", "/events/summer/doors", "/events/summer/exports",
    ]  # fmt: skip
    async with working(store_url, tmp_path, StaffRole.OWNER) as ida:
        home = await ida.get(OFFICE)
        seen = {
            (path, tag): await ida.get(OFFICE + path, **{"accept-language": tag})
            for path in pages
            for tag in ("en", "de")
        }
        alone = await ida.get(f"{EVENT}/hall")

    assert {answer.status_code for answer in seen.values()} == {200}
    assert all(f'<html lang="{tag}"' in answer.text for (_, tag), answer in seen.items())
    assert "style=" not in "".join(answer.text for answer in seen.values())
    assert f'href="{OFFICE}/new-event"' in home.text
    assert figures(alone)["all"] == "45"
    assert 'clip-path="url(#c0)"' in alone.text


async def test_a_viewer_reads_and_is_shown_no_form(store_url: str, tmp_path: Path) -> None:
    """The pages are there, the buttons are not."""
    async with working(store_url, tmp_path, StaffRole.VIEWER) as ida:
        seen = [await ida.get(f"{EVENT}/{name}") for name in ("about", "hall", "blocks", "prices", "doors")]
        houses = await ida.get(f"{OFFICE}/venues/old-mill")
        refused = await ida.send(f"{EVENT}/about", {"title": "x", "version": "1"})

    assert {answer.status_code for answer in seen} == {200}
    assert all(answer.text.count("<form") == 1 for answer in [*seen, houses])
    assert refused.status_code == 403


# ---------------------------------------------------------------------------- house, plan, event


async def new_event(ida: Worker, **changes: str) -> dict[str, str]:
    """Fill the form of a new event in."""
    plan = await ida.send(f"{OFFICE}/venues/barn/layouts", {"layout-name": "Big hall"}, CSV)
    assert plan.status_code == 201, plan.text
    assert "Big hall" in plan.text
    return {
        "venue_id": hidden(plan, "venue_id"), "layout_id": hidden(plan, "layout_id"), "runs": hidden(plan, "runs"),
        "id": "winter", "title": "Winter", "subtitle": "", "about": "", "motif": "", "room": "",
        "organiser_id": "ida", "starts_ms": "2026-12-05T20:00", "sale_from_ms": "2026-10-01T10:00",
        "sale_until_ms": "2026-12-05T20:00", "currency": "SEK", "max_per_buyer": "4", "hold_s": "240",
        "grace_s": "300", "t-0": "Front", "p-0": "420", "t-1": "Back", "p-1": "250,50", **changes,
    }  # fmt: skip


async def test_from_a_house_to_an_event_on_sale(store_url: str, tmp_path: Path) -> None:
    """A house, its plan as a file, a draft with the tiers of the file, and its publishing."""
    async with working(store_url, tmp_path) as ida:
        kept = await ida.send(f"{OFFICE}/venues", HOUSE)
        fields = await new_event(ida)
        made = await ida.send(f"{OFFICE}/new-event", fields)
        shown = await ida.get(made.headers["location"])
        hall = await ida.get(f"{OFFICE}/events/winter/hall")
        published = await ida.send(f"{OFFICE}/events/winter/publish", {"version": hidden(shown, "version")})
        known = await ida.front.till.shop.parts.catalogue.committed("winter")

    assert kept.headers["location"].startswith(f"{OFFICE}/venues/barn?said=venue-kept")
    assert fields["runs"] == "1x0,1x1"
    assert "The draft is kept." in shown.text
    assert (published.status_code, known.event.state.value) == (303, "published")
    assert known.prices.amounts == {0: {"SEK": 42000}, 1: {"SEK": 25050}}
    assert known.event.starts_ms == 1_796_497_200_000
    assert figures(hall)["all"] == "2"


async def test_bad_inputs_of_a_house(store_url: str, tmp_path: Path) -> None:
    """Each beside its field, in words, with what was typed; none is kept, and none is overwritten."""
    table: list[tuple[dict[str, str], str]] = [
        ({"venue": "Barn"}, "small letters"),
        ({"venue": ""}, "small letters"),
        ({"venue": "a/b"}, "small letters"),
        ({"venue": "old-mill"}, "There is one of this id already"),
        ({"country": "XX"}, "country&#39;s code"),
        ({"time_zone": "Mars"}, "It must be a name such as"),
        ({"city": "x" * 201}, "a text of 1 to 200 characters"),
        ({"name": ""}, "a text of 1 to 200 characters"),
    ]
    async with working(store_url, tmp_path) as ida:
        answers = [await ida.send(f"{OFFICE}/venues", {**HOUSE, **changes}) for changes, _ in table]
        kept = {one.id: one.name for one in await ida.front.till.shop.parts.catalogue.venues()}

    for answer, (changes, said) in zip(answers, table, strict=True):
        assert answer.status_code == 422, changes
        assert said in answer.text, changes
        assert 'aria-invalid="true"' in answer.text, changes
        assert 'value="Europe/Stockholm"' in answer.text or "time_zone" in changes
    assert kept == {"old-mill": "Alte Mühle"}


async def test_of_a_bad_file_each_fault_is_told_with_its_line_and_nothing_is_lost(
    store_url: str, tmp_path: Path
) -> None:
    """In the language of whoever looks; the file stands on the page, is mended there, and is taken."""
    bad = CSV.replace(b"100,0,Back", b"left,0,")
    async with working(store_url, tmp_path) as ida:
        path = f"{OFFICE}/venues/old-mill/layouts"
        refused = await ida.send(path, {"layout-name": "My plan"}, bad, **{"accept-language": "de"})
        mended = await ida.send(path, {"layout-name": "My plan", "text": CSV.decode()}, b"")
        layouts = await ida.front.till.shop.parts.catalogue.layouts("old-mill")

    assert refused.status_code == 422
    assert "Zeile 3: x ist left, das ist keine ganze Zahl" in refused.text
    assert "Zeile 3: tier ist leer." in refused.text
    assert "<code>Stalls,A,2,left,0,</code>" in refused.text
    assert "\nStalls,A,2,left,0,\n" in refused.text
    assert 'value="My plan"' in refused.text
    assert mended.status_code == 201
    assert sorted(one.name for one in layouts) == ["Mill", "My plan"]


async def test_bad_inputs_of_a_file(store_url: str, tmp_path: Path) -> None:
    """Whatever is sent, nothing is kept, and the page says why."""
    table: list[tuple[bytes, int, str]] = [
        (b"", 422, "Choose a file"),
        (b"  \n", 422, "Choose a file"),
        (b"\xff\xfe", 422, "save the file as UTF-8"),
        (b"a,b\n1,2\n", 422, "The column section is missing."),
        (b'{"zones": 1}', 422, "nothing was taken"),
        (CSV + b"Stalls,A,1,300,0,Front\n", 422, "Seat Stalls/A/1 is there already, in line 2."),
        (b"section,row,number,x,y,tier\n", 422, "The file has no seat."),
    ]
    async with working(store_url, tmp_path) as ida:
        answers = [await ida.send(f"{OFFICE}/venues/old-mill/layouts", {}, octets) for octets, _, _ in table]
        nowhere = await ida.send(f"{OFFICE}/venues/nowhere/layouts", {}, CSV)
        no_file = await ida.send(f"{OFFICE}/venues/old-mill/layouts", {"plan": "x"})
        layouts = await ida.front.till.shop.parts.catalogue.layouts("old-mill")

    for answer, (octets, status, said) in zip(answers, table, strict=True):
        assert (answer.status_code, said in answer.text) == (status, True), octets
    assert (nowhere.status_code, no_file.status_code) == (404, 415)
    assert len(layouts) == 1


async def test_bad_inputs_of_a_new_event(store_url: str, tmp_path: Path) -> None:
    """Each beside its field; what was typed stays, the tiers of the file too."""
    table: list[tuple[dict[str, str], str]] = [
        ({"id": "Winter"}, "small letters"),
        ({"id": "summer"}, "There is an event of this id already"),
        ({"title": ""}, "a text of 1 to 200 characters"),
        ({"starts_ms": "soon"}, "It must be a date with a time."),
        ({"sale_from_ms": "2026-03-29T02:30"}, "There is no such hour"),
        ({"sale_until_ms": "2026-09-01T10:00"}, "The sale must end after it begins."),
        ({"max_per_buyer": "0"}, "a whole number from 1 to 100"),
        ({"hold_s": "x"}, "It must be a whole number."),
        ({"currency": "EURO"}, "There is no such currency"),
        ({"p-0": "1.234"}, "more decimals than the currency"),
        ({"t-1": ""}, "The price group has no name."),
        ({"organiser_id": "nobody"}, "There is no nobody."),
        ({"runs": "2x5"}, "tiers"),
        ({"room": "No Room"}, "the name of a room, or empty"),
    ]
    async with working(store_url, tmp_path) as ida:
        await ida.send(f"{OFFICE}/venues", HOUSE)
        fields = await new_event(ida)
        answers = [await ida.send(f"{OFFICE}/new-event", {**fields, **changes}) for changes, _ in table]
        known = [one.event.id for one in await ida.front.till.shop.parts.catalogue.all()]

    for answer, (changes, said) in zip(answers, table, strict=True):
        assert answer.status_code in {409, 422}, changes
        assert said in answer.text, changes
        assert 'value="250,50"' in answer.text, changes
        assert hidden(answer, "runs") == changes.get("runs", "1x0,1x1")
    assert known == ["summer"]


# ---------------------------------------------------------------------------------- an event's own


async def test_what_is_said_of_an_event_is_changed_and_nothing_else(store_url: str, tmp_path: Path) -> None:
    """The form as it is, with another title; and sent as it is nothing happens."""
    async with working(store_url, tmp_path) as ida:
        catalogue = ida.front.till.shop.parts.catalogue
        before = (await catalogue.committed("summer")).event
        page = await ida.get(f"{EVENT}/about")
        names = (
            "title",
            "subtitle",
            "starts_ms",
            "sale_from_ms",
            "sale_until_ms",
            "max_per_buyer",
            "currency",
        )
        fields = {name: re.findall(rf'name="{name}"[^>]* value="([^"]*)"', page.text)[0] for name in names}
        same = await ida.send(f"{EVENT}/about", {**fields, "version": hidden(page, "version")})
        done = await ida.send(
            f"{EVENT}/about", {**fields, "title": "Später", "version": hidden(page, "version")}
        )
        after = (await catalogue.committed("summer")).event

    assert "said=event-same" in same.headers["location"]
    assert "said=event-changed" in done.headers["location"]
    assert after.title == "Später"
    assert (after.starts_ms, after.sale_from_ms) == (before.starts_ms, before.sale_from_ms)


async def test_who_was_overtaken_sees_what_is_so_and_what_they_had_typed(
    store_url: str, tmp_path: Path
) -> None:
    """And overwrites nothing that they have not seen."""
    async with working(store_url, tmp_path) as ida:
        page = await ida.get(f"{EVENT}/about")
        await ida.front.till.shop.parts.catalogue.update_event("summer", {"subtitle": "Somebody else"})
        late = await ida.send(f"{EVENT}/about", {"title": "My title", "version": hidden(page, "version")})
        again = await ida.send(f"{EVENT}/about", {"title": "My title", "version": hidden(late, "version")})
        known = (await ida.front.till.shop.parts.catalogue.committed("summer")).event

    assert late.status_code == 412
    assert "<dd>My title</dd>" in late.text
    assert "Somebody else" in late.text
    assert again.status_code == 303
    assert (known.title, known.subtitle) == ("My title", "Somebody else")


CHANGES: list[tuple[dict[str, str], str]] = [
    ({"title": ""}, "a text of 1 to 200 characters"),
    ({"starts_ms": "never"}, "It must be a date with a time."),
    ({"max_per_buyer": "1000"}, "a whole number from 1 to 100"),
    ({"venue_id": "nowhere"}, "There is no nowhere."),
    ({"currency": "CHF"}, "A price in CHF is missing."),
]


async def test_bad_inputs_of_a_change(store_url: str, tmp_path: Path) -> None:
    """Nothing is kept; what was typed stays."""
    async with working(store_url, tmp_path) as ida:
        version = hidden(await ida.get(f"{EVENT}/about"), "version")
        answers = [
            await ida.send(f"{EVENT}/about", {**changes, "version": version}) for changes, _ in CHANGES
        ]
        after = hidden(await ida.get(f"{EVENT}/about"), "version")

    for answer, (changes, said) in zip(answers, CHANGES, strict=True):
        assert (answer.status_code, said in answer.text) == (422, True), changes
    assert after == version


async def test_an_event_is_cancelled_by_who_means_it(store_url: str, tmp_path: Path) -> None:
    """Who types its id, and shows a second factor; before that it is told what it will mean."""
    async with working(store_url, tmp_path) as ida:
        asked = await ida.get(f"{EVENT}/cancel")
        wrong = await ida.send(f"{EVENT}/cancel", {"confirm": "Summer", "code": ""})
        bare = await ida.send(f"{EVENT}/cancel", {"confirm": "summer", "code": ""})
        code = await ida.code()
        done = await ida.send(f"{EVENT}/cancel", {"confirm": "summer", "code": code})
        after = await ida.get(done.headers["location"])
        known = (await ida.front.till.shop.parts.catalogue.committed("summer")).event

    assert {"sold", "pending", "orders"} <= figures(asked).keys()
    assert (wrong.status_code, bare.status_code, done.status_code) == (422, 403, 303)
    assert 'value="summer"' in bare.text
    assert known.state.value == "cancelled"
    assert "All of it is done." in after.text
    assert f'action="{EVENT}/cancel"' not in after.text
