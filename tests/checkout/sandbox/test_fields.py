"""The sandbox's card fields: script, frame for who has the key, and nothing into which a card could be typed."""

import re
from importlib.resources import files

import pytest

from checkout.sandbox.fields import FRAME, FRAME_SCRIPT, OUTCOMES, SCRIPT, answer
from checkout.sandbox.methods import METHODS
from checkout.sandbox.words import languages
from checkout.site.words import languages as shop_languages
from kernel.languages import SOURCE, faults

KEY = "pk_test_1"


def test_script_and_frame_are_served_to_browsers() -> None:
    """As scripts and a page, never kept, under a policy that lets the frame load its own script alone."""
    for path in (SCRIPT, FRAME_SCRIPT):
        status, headers, body = answer(path, b"", KEY)
        assert status == 200
        assert dict(headers)[b"content-type"].startswith(b"text/javascript")
        assert body
    status, headers, body = answer(FRAME, b"key=pk_test_1", KEY)
    policy = dict(headers)[b"content-security-policy"]

    assert status == 200
    assert b"script-src 'self'" in policy
    assert b"unsafe" not in policy
    assert set(re.findall(rb"<(input|textarea)", body)) == set()


@pytest.mark.parametrize(
    ("query", "key"), [(b"", KEY), (b"key=pk_test_2", KEY), (b"key=", ""), (b"", ""), (b"key=%ff", KEY)]
)
def test_without_the_key_nothing_is_offered(query: bytes, key: str) -> None:
    """Neither to who has another account's, nor where there is none."""
    status, _, body = answer(FRAME, query, key)

    assert status == 403
    assert b"<select" not in body


def test_every_outcome_is_one_that_the_api_knows() -> None:
    """Each token is a method; no two read the same, in any language."""
    assert {token for token, _ in OUTCOMES} <= METHODS.keys()
    for words in languages().values():
        assert len({words.text(f"outcome.{name}") for _, name in OUTCOMES}) == len(OUTCOMES)


def test_the_sandbox_speaks_the_shops_languages() -> None:
    """Each whole; where it says what the shop says, it says it in the same words."""
    assert languages().keys() == shop_languages().keys()
    for tag, words in languages().items():
        assert faults(tag, words.raw, languages()[SOURCE].raw) == []
        assert words.direction == shop_languages()[tag].direction
        for way in ("pays", "asks", "no-funds", "declined"):
            assert words.text(f"outcome.{way}") == shop_languages()[tag].text(f"way.{way}")
        if tag != SOURCE:
            same = {key for key, text in words.raw.items() if text == languages()[SOURCE].raw[key]}
            assert same <= {"language.direction"}, tag


@pytest.mark.parametrize("tag", sorted(languages()))
def test_the_frame_speaks_what_the_page_around_it_asks_for(tag: str) -> None:
    """Whatever the browser likes; and what the browser likes, where nothing that is known is asked for."""
    words = languages()[tag]
    asked = answer(FRAME, f"key={KEY}&locale={tag}".encode(), KEY, b"sv")[2].decode()
    liked = answer(FRAME, f"key={KEY}&locale=auto".encode(), KEY, f"{tag}-XX".encode())[2].decode()

    assert asked == liked
    assert f'<html lang="{tag}" dir="{words.direction}">' in asked
    assert f"<title>{words.text('fields.title')}</title>" in asked
    for name in ("label", "choose", "wrong"):
        assert words.text(f"fields.{name}") in asked
    for _, name in OUTCOMES:
        assert f">{words.text(f'outcome.{name}')}</option>" in asked
    assert words.text("fields.unknown") in answer(FRAME, f"locale={tag}".encode(), KEY)[2].decode()


def test_the_scripts_say_nothing_themselves() -> None:
    """What is read or heard comes with the frame's page: its title, and what is wrong."""
    script, frame = (
        files("checkout.sandbox").joinpath("static", name).read_text("utf-8")
        for name in ("fields.js", "frame.js")
    )

    assert "frame.title = data.title" in script
    assert "message: field.dataset.wrong" in frame
    assert not re.search(r"(title|message|textContent): ?[\"'`]", script + frame)
