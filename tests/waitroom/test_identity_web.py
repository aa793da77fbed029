"""The addresses of a room that asks who comes: its forms, in every language, and every kind of bad request."""

from pathlib import Path

import pytest
from markupsafe import escape
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM
from tests.waitroom.identities import ended, scene
from tests.waitroom.test_web import BASE
from waitroom.schedule import Phase
from waitroom.words import languages

ADA = "Ada.Lovelace+tickets@fans.example"

BAD_JOINS: list[tuple[str, dict[str, object], str]] = [
    ("code", {}, "identity-needed"),
    ("code", {"code": ""}, "identity-needed"),
    ("code", {"code": 5}, "identity-needed"),
    ("code", {"code": ["x"]}, "identity-needed"),
    ("code", {"paper": "x", "number": "123456"}, "identity-needed"),
    ("code", {"code": "x"}, "identity-code-wrong"),
    ("code", {"code": "u" * 16}, "identity-code-wrong"),
    ("code", {"code": "0" * 3000}, "identity-code-wrong"),
    ("code", {"code": "\u0660" * 16}, "identity-code-wrong"),
    ("mail", {"code": "0" * 16}, "identity-needed"),
    ("mail", {"number": "123456"}, "identity-needed"),
    ("mail", {"paper": "x", "number": "123456"}, "identity-number-gone"),
    ("mail", {"paper": "k1.eA.eA", "number": "123456"}, "identity-number-gone"),
]


@pytest.mark.parametrize(("way", "body", "code"), BAD_JOINS)
async def test_bad_joins(
    store: Redis, clock: ManualClock, tmp_path: Path, way: str, body: dict[str, object], code: str
) -> None:
    """Each has its word, gives no place, and tells a browser with a form the same."""
    async with scene(store, clock, tmp_path, identity=way) as here:
        async with here.browser() as phone:
            answer = await phone.post(BASE + "/join", json=body)
            form = await phone.post(
                BASE + "/join", data={"target": "/", **{name: str(value) for name, value in body.items()}}
            )
        line = (await here.beat()).line

    assert answer.json()["code"] == code
    assert answer.status_code in {403, 410}
    assert form.status_code in {403, 410}
    assert "<form" in form.text
    assert line is not None
    assert line.issued == 0


@pytest.mark.parametrize(
    ("way", "sent", "status", "code"),
    [
        ("mail", {"json": {"to": ""}}, 400, "identity-mail-invalid"),
        ("mail", {"json": {"to": 7}}, 400, "identity-mail-invalid"),
        ("mail", {"json": {"to": "a@b@c d"}}, 400, "identity-mail-invalid"),
        ("mail", {"json": {"to": "a\r\nBcc: b@c.example"}}, 400, "identity-mail-invalid"),
        ("mail", {"json": []}, 400, "body-malformed"),
        (
            "mail",
            {"content": b"\xff", "headers": {"content-type": "application/json"}},
            400,
            "body-malformed",
        ),
        ("mail", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "content-type-unknown"),
        ("mail", {"json": {"to": ADA}, "headers": {"sec-fetch-site": "cross-site"}}, 403, "cross-site"),
        ("code", {"json": {"to": ADA}}, 404, "identity-not-mail"),
        ("none", {"json": {"to": ADA}}, 404, "identity-not-asked"),
    ],
)
async def test_bad_askings(
    store: Redis,
    clock: ManualClock,
    tmp_path: Path,
    way: str,
    sent: dict[str, object],
    status: int,
    code: str,
) -> None:
    """Each is refused in its word, and no mail goes out."""
    async with scene(store, clock, tmp_path, identity=way) as here:
        async with here.browser() as phone:
            answer = await phone.post(BASE + "/identity", **sent)  # type: ignore[arg-type]
        numbers = here.heard.numbers

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not numbers


async def test_a_paper_is_of_one_run(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """A number of yesterday's line is worth nothing today."""
    async with scene(store, clock, tmp_path, identity="mail") as here, here.browser() as phone:
        paper, number = await here.number(phone, ADA)
        await ended(here)
        await here.here.beat()
        line = here.here.waitroom.reading(ROOM).line
        answer = await phone.post(BASE + "/join", json={"paper": paper, "number": number})

    assert line is not None
    assert line.phase is Phase.SERVING
    assert answer.json()["code"] == "identity-number-gone"


async def test_the_form_works_without_a_script(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Page, wrong code with what was typed, right code, and on to the place; whoever has one is led on at once."""
    async with scene(store, clock, tmp_path) as here:
        _, (code,) = here.codes()
        async with here.browser() as phone:
            page = await phone.get(BASE + "/identity", params={"target": "/e?a=1&b=2", "lang": "de"})
            wrong = await phone.post(BASE + "/join", data={"code": "<0000>", "target": "/e", "lang": "de"})
            right = await phone.post(BASE + "/join", data={"code": code, "target": "/e"})
            held = await phone.get(BASE + "/identity", params={"target": "/e"})
        async with here.browser() as other:
            live = await other.post(BASE + "/join", data={"code": code, "target": "/e", "live": "1"})

    assert page.status_code == 200
    assert 'value="/e?a=1&amp;b=2"' in page.text
    assert 'lang="de"' in page.text
    assert wrong.status_code == 403
    assert "&lt;0000&gt;" in wrong.text
    assert 'role="alert"' in wrong.text
    assert right.headers["location"] == "/.waitroom/r/main/ticket?target=%2Fe"
    assert held.status_code == 303
    assert live.headers["location"] == "/.waitroom/r/main?target=%2Fe"


async def test_the_mail_form_has_two_steps(store: Redis, clock: ManualClock, tmp_path: Path) -> None:
    """Address, then number; a wrong number asks again with the same paper, one that is gone for the address."""
    async with scene(store, clock, tmp_path, identity="mail") as here:
        async with here.browser() as phone:
            first = await phone.get(BASE + "/identity")
            bad = await phone.post(BASE + "/identity", data={"to": "nobody", "target": "/e"})
            second = await phone.post(BASE + "/identity", data={"to": ADA, "target": "/e", "lang": "fr"})
            paper = second.text.split('name="paper" value="')[1].split('"')[0]
            number = here.heard.numbers[-1][1]
            wrong = await phone.post(BASE + "/join", data={"paper": paper, "number": "12", "target": "/e"})
            right = await phone.post(BASE + "/join", data={"paper": paper, "number": number, "target": "/e"})
            clock.advance(600_000)
        async with here.browser() as other:
            gone = await other.post(BASE + "/join", data={"paper": paper, "number": number, "target": "/e"})

    assert 'type="email"' in first.text
    assert (bad.status_code, 'type="email"' in bad.text) == (400, True)
    assert ADA not in second.text
    assert 'autocomplete="one-time-code"' in second.text
    assert paper in wrong.text
    assert right.status_code == 303
    assert 'type="email"' in gone.text


@pytest.mark.parametrize("way", ["code", "mail"])
async def test_the_page_speaks_every_language(
    store: Redis, clock: ManualClock, tmp_path: Path, way: str
) -> None:
    """No text is missing, and every field has its label."""
    async with scene(store, clock, tmp_path, identity=way) as here, here.browser() as phone:
        pages = {
            language: (await phone.get(BASE + "/identity", params={"lang": language})).text
            for language in languages()
        }

    for language, page in pages.items():
        assert str(escape(languages()[language].text(f"identity.title-{way}"))) in page
        assert page.count("<label") == 1


async def test_a_room_that_asks_nobody_has_the_page_that_it_had(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """What asks is loaded in rooms that ask alone."""
    async with scene(store, clock, tmp_path, identity="none") as here, here.browser() as phone:
        page = await phone.get(BASE)
        joined = await phone.post(BASE + "/join", json={})

    assert "asking.js" not in page.text
    assert joined.status_code == 200


async def test_a_room_that_asks_leads_on_to_its_question(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """With a script by a module of its own, without one by the form."""
    async with scene(store, clock, tmp_path) as here, here.browser() as phone:
        page = await phone.get(BASE)

    assert "static/asking.js" in page.text
    assert 'method="get" action="/.waitroom/r/main/identity"' in page.text
