"""Canned messages: the document names one, and each fan reads it in the language of their page."""

import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from kernel.clock import ManualClock
from tests.waitroom.house import ROOM, members
from tests.waitroom.test_web import BASE, site
from waitroom.assets import asset_url, assets, canned_name, words_name
from waitroom.canned import CHARS, PREFIX, SITUATIONS, free_text, read_message, situation_of, spoken
from waitroom.configure import Actor
from waitroom.words import EVICTED, languages

LANGUAGES = sorted(languages())
DELAY = f"{PREFIX}delay"


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_situation_has_its_text_in_every_language(tag: str) -> None:
    """As short as free text may be, and with nothing to be filled in."""
    words = languages()[tag]

    said = {key: text for key, text in words.canned.items() if key != EVICTED}

    assert set(said) == {f"canned.{situation}" for situation in SITUATIONS}
    for text in said.values():
        assert isinstance(text, str)
        assert 20 <= len(text) <= CHARS
        assert "{" not in text
    assert len({*said.values()}) == len(SITUATIONS)


def test_no_page_carries_them_until_one_is_said() -> None:
    """They have a small file of their own, whose address follows from that of the words."""
    for tag in LANGUAGES:
        file, words = assets()[canned_name(tag)], assets()[words_name(tag)]

        assert json.loads(file.body) == languages()[tag].canned
        assert b"canned." not in words.body
        assert EVICTED in languages()[tag].canned
        assert EVICTED.encode() not in words.body
        assert len(file.gzip) < 1000
        beside = asset_url("/", words_name(tag)).replace("words.", "canned.").replace(".js", ".json")
        assert beside == asset_url("/", canned_name(tag))


def test_a_message_is_free_text_or_a_situation() -> None:
    """What only looks like one is refused when it is set."""
    assert (situation_of(DELAY), free_text(DELAY)) == ("delay", "")
    assert (situation_of("Soon."), free_text("Soon.")) == ("", "Soon.")
    assert spoken(DELAY, languages()["de"].text).startswith("Der Beginn verschiebt sich.")
    assert spoken("Soon.", languages()["de"].text) == "Soon."
    assert read_message(DELAY) == DELAY
    for bad in (PREFIX, f"{PREFIX}x", f"{DELAY} ", f"{PREFIX}{DELAY}"):
        with pytest.raises(ValueError, match="canned: and one of"):
            read_message(bad)


async def test_a_fan_reads_it_in_their_language_with_and_without_a_script(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The document names the situation and holds no text: an older page then shows nothing rather than a code."""
    async with site(store, clock, tmp_path) as (here, browser):
        await browser.post(f"{BASE}/join", json={})
        await here.configurations.patch(ROOM, {"message": DELAY}, None, Actor("Ann"))
        await here.waitroom.refresh()

        document = (await browser.get(f"{BASE}/status")).json()
        assert (document["message"], document["canned"]) == ("", "delay")
        for tag in ("ar", "ja", "en"):
            asked = {"accept-language": tag}
            text = languages()[tag].text("canned.delay")
            assert (await browser.get(f"{BASE}/ticket", headers=asked)).json()["message"] == text
            page = await browser.get(f"{BASE}/ticket", headers={**asked, "accept": "text/html"})
            assert text in page.text
        public = await browser.get(
            f"{BASE}/preview/waiting", params={"message": "Buy at evil.example", "lang": "en"}
        )
        assert "evil.example" not in public.text

        await here.configurations.patch(ROOM, {"message": "Doors at nine."}, None, Actor("Ann"))
        await here.waitroom.refresh()
        after = members(here.waitroom.reading(ROOM))
        assert (after["message"], "canned" in after) == ("Doors at nine.", False)
