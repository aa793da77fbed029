"""The back office over HTTP: who sees a page, what a form may, what a press does."""

from pathlib import Path

from checkout.people.staff import StaffRole
from tests.gateway.staff_front import staff_front

OFFICE = "/staff/office"
SALES = f"{OFFICE}/events/summer/sales"


async def test_who_is_logged_in_chooses_an_event_and_sees_its_sale(store_url: str, tmp_path: Path) -> None:
    """Nobody else: they are sent to the page where people log in."""
    async with staff_front(store_url, tmp_path) as own:
        browser = await own.entered("ida", StaffRole.ORGANISER)
        async with own.browser() as nobody:
            sent = await nobody.get(SALES)
        home = await browser.get(OFFICE)
        sales = await browser.get(SALES, params={"span": "all"})
        none = await browser.get(f"{OFFICE}/events/winter/sales")
        nowhere = await browser.get(f"{OFFICE}/nowhere")
        await browser.aclose()

    assert (sent.status_code, sent.headers["location"]) == (303, "/staff")
    assert f'href="{SALES}"' in home.text
    assert 'data-figure="seats_sold">0' in sales.text
    assert (sales.status_code, none.status_code, nowhere.status_code) == (200, 404, 404)
    assert "There is no such event." in none.text
