"""Programs that say so themselves: all that the list knows are found, and no browser of people is."""

import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA, is_crawler
from hypothesis import given
from hypothesis import strategies as st

from botguard.request.agents import MOST_CHARS
from botguard.request.crawlers import IN_APP, PEOPLES, Crawlers, Declared, runs
from botguard.request.facts import Who
from tests.botguard.request.browsers import (
    CHROME_AGENT,
    CRAWLERS,
    PEOPLE,
    PHONE_AGENT,
    chromium,
    read,
    replaced,
)

OF_PEOPLE = PEOPLES | {"MetaIAB Facebook"}
INSTANCES = [
    text
    for entry in CRAWLER_USER_AGENTS_DATA
    if entry["pattern"] not in OF_PEOPLE
    for text in entry["instances"]
]
"""Without those that are people's."""


def test_every_agent_on_the_list_is_found() -> None:
    """Though only a few patterns are tried on each."""
    assert [text for text in INSTANCES if len(text) <= MOST_CHARS and CRAWLERS.find(text) is None] == []


@given(st.sampled_from(INSTANCES), st.integers(0, 400), st.integers(0, 400), st.text("aB/ .;0", max_size=6))
def test_the_short_way_finds_what_the_long_way_finds(text: str, left: int, right: int, more: str) -> None:
    """On cut and spoilt agents as well."""
    agent = (text[:left] + more + text[right:])[:MOST_CHARS]

    assert (CRAWLERS.find(agent) is not None) is is_crawler(agent)


def test_a_way_that_files_wrongly_would_be_noticed() -> None:
    """The mutant: a pattern whose letters need not stand in what it matches is filed under them."""
    assert runs("colou?r") == ["colo", "r"]
    assert re.search("colou?r", "color red")

    crawlers = Crawlers([{"pattern": "colou?r", "tags": ["seo"]}])
    assert crawlers.find("color red") is Declared.CRAWLER

    crawlers._filed = {"olou": crawlers._filed["colo"]}
    crawlers.find.cache_clear()
    assert crawlers.find("color red") is None


def test_what_people_carry_is_let_go_by_patterns_that_are_on_the_list() -> None:
    """A list that has changed is looked at again; a browser within an app may still declare to be a program."""
    assert {entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA} >= PEOPLES | IN_APP
    within = f"{PHONE_AGENT} Viber/23.8"
    assert CRAWLERS.find(within) is None
    assert CRAWLERS.find(f"{within} Googlebot/2.1") is Declared.SEARCH


@pytest.mark.parametrize("who", PEOPLE)
def test_no_browser_of_people_is_on_the_list(who: str) -> None:
    """Phones whose names sound like a program's among them."""
    agent = next(value.decode() for name, value in PEOPLE[who] if name == b"user-agent")

    assert CRAWLERS.find(agent) is None
    assert CRAWLERS.find(agent.replace("SM-S911B", "CUBOT X30")) is None


@pytest.mark.parametrize(
    ("agent", "who"),
    [
        ("WhatsApp/2.24.22.78 A", Who.CRAWLER),
        ("Viber", Who.CRAWLER),
        ("curl/8.9.1", Who.TOOL),
        ("python-requests/2.32.3", Who.TOOL),
        (CHROME_AGENT.replace(" Chrome/", " HeadlessChrome/"), Who.AUTOMATION),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2)", Who.AGENT),
        ("Mozilla/5.0 (compatible; ChatGPT-User/1.0; +https://openai.com/bot)", Who.AGENT),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", Who.CRAWLER),
    ],
)
def test_a_declared_program_is_of_its_own_class(agent: str, who: Who) -> None:
    """Tools, steered browsers, assistants, crawlers."""
    assert read(replaced(chromium(), b"user-agent", agent.encode())).who is who
