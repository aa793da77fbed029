"""The pages of a room as they are sent: in whose language, with which headers, kept how long, told from what."""

import gzip
from typing import Any

import pytest
from markupsafe import escape

from kernel.errors import Refused, Unavailable
from waitroom.reading import Reading
from waitroom.room_fields import BotGuard, ChallengeRule, ChallengeWay
from waitroom.rooms import Method, Room, Sale
from waitroom.schedule import Phase, Wanted
from waitroom.shells import Page, Pages
from waitroom.theme import read_theme
from waitroom.view import STATES, theme_faults
from waitroom.words import languages

NOON = 1_800_000_000_000
OWN = (
    "<html {{{waitroom.attributes}}}><head>{{{waitroom.head}}}</head><body><i>{{queueingMethod}} {{waitTimeKnown}} "
    "{{#isEventPrequeueing}}soon {{timeUntilEventStart}} {{timeUntilEventStartFormatted}}{{/isEventPrequeueing}}</i>"
    "{{{waitroom.main}}}{{{waitroom.footer}}}</body></html>"
)


def reading(wanted: Wanted | None = None, **room: Any) -> Reading:
    """Make a room as a worker knows it."""
    made = Room("main", "https://shop.example.com", description="Concert", **room)
    return Reading(made, made, wanted or Wanted("always", Phase.SERVING), read_ms=NOON)


def text(page: Page) -> str:
    """Return a page's text, the same in both codings."""
    assert page.gzip is not None
    assert gzip.decompress(page.gzip) == page.body
    return page.body.decode()


def header(page: Page, name: bytes) -> str:
    """Return one header of a page."""
    return dict(page.headers)[name].decode()


@pytest.fixture
def pages() -> Pages:
    """Give a worker's pages."""
    return Pages("/.waitroom")


@pytest.mark.parametrize("tag", sorted(languages()))
def test_every_page_speaks_the_language_it_is_asked_for(pages: Pages, tag: str) -> None:
    """And says so to caches, by header and attribute."""
    room = reading()
    refusal = Unavailable("store-away", "The store is away.")

    for page in (
        pages.shell(room, "/shop", tag),
        pages.refused(room, "/shop", refusal, tag),
        pages.how(room, tag),
        pages.preview(room, "waiting", tag),
        pages.preview(room, "waiting", tag, still=True),
        pages.previews(room, tag),
    ):
        assert f'<html lang="{tag}" dir="{languages()[tag].direction}"' in text(page)
        assert header(page, b"content-language") == tag
        assert header(page, b"vary") == "accept-language, accept-encoding"


@pytest.mark.parametrize(
    ("accepted", "coded"),
    [
        (b"gzip, deflate, br", True),
        (b"br;q=1.0, GZIP;q=0.8", True),
        (b"*", True),
        (b"br", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0", False),
        (b"", False),
        (None, False),
    ],
)
def test_a_page_is_compressed_for_who_takes_it(pages: Pages, accepted: bytes | None, coded: bool) -> None:
    """Nobody gets a coding that they did not ask for."""
    page = pages.shell(reading(), "/shop")
    headers, body = page.coded(accepted)

    assert (dict(headers).get(b"content-encoding") == b"gzip") is coded
    assert body == (page.gzip if coded else page.body)


def test_a_shell_is_rendered_once_for_a_look_and_a_language(pages: Pages) -> None:
    """And anew when the look changes."""
    first = pages.shell(reading(), "/shop", "de")
    again = pages.shell(reading(), "/shop", "de")
    themed = pages.shell(reading(theme=read_theme({"colours": {"accent": "#0b5cad"}})), "/shop", "de")

    assert first == again
    assert "--accent:#0b5cad" in text(themed)
    assert "sha256-" in header(themed, b"content-security-policy")


def test_a_rooms_own_words_stand_on_its_pages_as_far_as_they_fit(pages: Pages) -> None:
    """On the server's pages and on the script's; one that cannot fit is told at configuration and never shown."""
    own = {
        "state.loading.headline": "Ahoy",
        "plain.take": "Aboard",
        "state.waiting.stage": "{x}",
        "nope": "y",
    }
    theme = read_theme({"texts": {"en": own}})
    page = text(pages.shell(reading(theme=theme), "/shop"))

    assert '<h1 class="headline" id="headline" tabindex="-1">Ahoy</h1>' in page
    assert "data-texts" in page
    assert "Aboard" in page
    assert "{x}" not in page
    assert len(theme_faults(theme)) == 2
    assert "Ahoy" not in text(pages.shell(reading(theme=theme), "/shop", "de"))


def test_a_refusal_has_a_reason_and_a_way_out(pages: Pages) -> None:
    """A button that joins where that helps, a reload where waiting helps; the text is the language's own."""
    away = text(pages.refused(reading(), "/shop", Unavailable("store-away", "x", retry_after_s=7)))
    none = text(pages.refused(reading(), "/shop", Refused("ticket-missing", "x", 401), "de"))
    strange = text(pages.refused(reading(), "/shop", Refused("never-heard-of", "x")))

    assert 'content="7;url=/.waitroom/r/main?target=/shop"' in away
    assert 'method="post" action="/.waitroom/r/main/join"' in none
    assert languages()["de"].text("notice.ticket-missing") in none
    assert languages()["en"].text("notice.other") in strange


def test_how_the_line_works_follows_from_the_settings(pages: Pages) -> None:
    """Lottery or first come, the limits with their numbers, the claim window, the level of a draw."""
    sale = Sale("spring", NOON, NOON + 3_600_000, NOON - 600_000, queueing_method=Method.RANDOM)
    plain = text(pages.how(reading(new_users_per_minute=1250, claim_window_s=300, max_waiting=9000)))
    drawn = text(pages.how(reading(Wanted("spring", Phase.GATHERING, sale, starts_ms=NOON), sales=(sale,))))

    for sign in (
        "First come, first served",
        "At most 1,250 people a minute",
        "you have 5 minutes",
        "9,000 people wait",
    ):
        assert sign in plain
    assert "takes part in one draw" in drawn
    assert "Level C" in drawn
    assert "Level" not in plain


@pytest.mark.parametrize(
    ("guard", "way", "told"),
    [("off", "work", (False, False, False)), ("watch", "work", (True, False, False)),
     ("on", "work", (True, True, True)), ("on", "none", (True, True, False))],
)  # fmt: skip
def test_a_room_tells_what_it_looks_at_and_loads_nothing_for_less(
    pages: Pages, guard: str, way: str, told: tuple[bool, bool, bool]
) -> None:
    """The script that tells a rhythm, the sentence of what is kept of it, of programs, and of the way out."""
    room = reading(bot_guard=BotGuard(guard), challenge=ChallengeRule(ChallengeWay(way)))
    for tag, words in languages().items():
        how = text(pages.how(room, tag))
        found = tuple(
            str(escape(words.text(f"how.{part}"))) in how
            for part in ("data.rhythm", "bots.text", "bots.way-out")
        )
        assert found == told, tag
        assert ("settle.js" in text(pages.shell(room, "/", tag))) is told[0]


def test_previews_show_every_state_and_no_other(pages: Pages) -> None:
    """With a preview's mark; without scripts those that there are; an unknown state is not found."""
    for state in STATES:
        assert f'data-preview="{state}"' in text(pages.preview(reading(), state))
    listed = text(pages.previews(reading()))
    assert all(f"/preview/{state}?" in listed for state in STATES)
    for state, still in (("nothing", False), ("carried", True)):
        with pytest.raises(Refused):
            pages.preview(reading(), state, still=still)


def test_an_own_page_shows_cloudflares_variables_of_the_moment(pages: Pages) -> None:
    """They are those of somebody who comes now, and a change of them makes a new page."""
    sale = Sale("spring", NOON + 600_000, NOON + 3_600_000, NOON - 600_000)
    plan = Wanted("spring", Phase.GATHERING, sale, starts_ms=NOON + 600_000)
    page = pages.shell(reading(plan, custom_page_html=OWN), "/shop")

    assert "<i>fifo false " in text(page)
    assert "'unsafe-inline'" in header(page, b"content-security-policy")


def test_a_broken_own_page_gives_way_to_ours(pages: Pages) -> None:
    """One that an older version let in must not keep anybody from waiting."""
    page = text(pages.shell(reading(custom_page_html="{{#open}}"), "/shop"))

    assert 'id="headline"' in page
    assert "<!doctype html>" in page


def test_a_static_file_may_be_kept_for_ever(pages: Pages) -> None:
    """Its address changes with it; an unknown name is not found."""
    page = pages.asset("words.de.js")

    assert header(page, b"cache-control") == "public, max-age=31536000, immutable"
    assert text(page).startswith("export default {")
    with pytest.raises(Refused):
        pages.asset("../shells.py")
