"""Crawler: a program that says so itself, by the list of the package ``crawler-user-agents`` (MIT).

The list has some 1,500 patterns, and to try them all on one agent takes most of a millisecond. Nearly all are plain
words. So each is filed under four letters of it that are in no other pattern, or in few; an agent is walked over once,
and only the patterns whose four letters are in it are tried (some ten microseconds). Answers are kept for the last few
thousand agents. Patterns without four plain letters in a row are always tried.

The list also has what people carry: a pattern that is a telephone's build, and names of apps. Those are let go.

Who declares nothing may still be a program; nothing follows from that here. Not here: whether a search engine's
crawler is really one (``search_bots``), what follows (``botguard.verdict``).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from botguard.request.agents import MOST_CHARS

LETTERS = 4
KEPT = 8192


class Declared(StrEnum):
    """What a program says it is."""

    AGENT = "agent"
    """Acts or reads for an artificial intelligence."""

    SEARCH = "search"
    CRAWLER = "crawler"
    AUTOMATION = "automation"
    """A browser that is steered, and says so."""

    TOOL = "tool"
    """A library or a command-line tool."""


_TAGS: Sequence[tuple[str, Declared]] = (
    ("ai-crawler", Declared.AGENT),
    ("search-engine", Declared.SEARCH),
    ("browser-automation", Declared.AUTOMATION),
    ("http-library", Declared.TOOL),
)
"""The first tag that is there counts."""


def runs(pattern: str) -> list[str]:
    r"""Return the pieces of plain text that must stand in whatever a pattern matches.

    >>> runs(r"Google(bot)?\/2"), runs("colou?r"), runs("cats|dogs")
    (['Google', '/2'], ['colo', 'r'], [])
    """
    found, piece, depth, at = [], "", 0, 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "|" and not depth:
            return []
        if letter == "\\" and at < len(pattern) and not pattern[at].isalnum():
            piece += "" if depth else pattern[at]
            at += 1
            continue
        if letter in "*?{":
            piece = piece[:-1]
        if letter == "[":
            at = pattern.index("]", at + 1) + 1
        if letter == "(":
            depth += 1
        if letter == ")":
            depth -= 1
        if letter in "[]().^$*+?{}|\\":
            found.append(piece)
            piece = ""
            at += letter == "\\"
            if letter == "{":
                at = pattern.index("}", at) + 1
        elif not depth:
            piece += letter
    return [one for one in (*found, piece) if one]


class Crawlers:
    """Knows declared programs by their agents, for one worker."""

    def __init__(self, entries: Iterable[Mapping[str, object]] = CRAWLER_USER_AGENTS_DATA) -> None:
        """File the patterns; each is compiled when it is first tried."""
        rows = [(str(entry["pattern"]), _kind(entry)) for entry in entries if entry["pattern"] not in PEOPLES]
        grams = {pattern: {gram for piece in runs(pattern) for gram in _grams(piece)} for pattern, _ in rows}
        spread = Counter(gram for found in grams.values() for gram in found)
        filed: dict[str, list[tuple[str, Declared]]] = defaultdict(list)
        always: list[tuple[str, Declared]] = []
        for row in rows:
            # What every browser says of itself would have the pattern tried on everybody.
            rarest = min(grams[row[0]], key=lambda gram: (gram in _ORDINARY, spread[gram], gram), default="")
            (filed[rarest] if rarest else always).append(row)
        self._filed = dict(filed)
        self._always = tuple(always)
        self._compiled: dict[str, re.Pattern[str]] = {}
        self.find = lru_cache(maxsize=KEPT)(self._find)

    def _find(self, agent: str) -> Declared | None:
        """Tell what an agent declares; None for nothing."""
        agent = agent[:MOST_CHARS]
        filed = self._filed
        hits = [row for gram in filed.keys() & _grams(agent) for row in filed[gram]]
        is_browser = agent.startswith(_BROWSERS)
        kinds = {
            kind
            for pattern, kind in (*hits, *self._always)
            if not (is_browser and pattern in IN_APP) and self._matches(pattern, agent)
        }
        return min(kinds, key=list(Declared).index, default=None)

    def _matches(self, pattern: str, agent: str) -> bool:
        compiled = self._compiled.get(pattern)
        if compiled is None:
            compiled = self._compiled[pattern] = re.compile(pattern)
        return compiled.search(agent) is not None


PEOPLES = frozenset({r"AP3A\.240617\.008"})
"""Patterns that name no program: this one is the build of Android 15 on the telephones of half a dozen makers."""

IN_APP = frozenset({"MetaIAB Facebook", "Viber", "WhatsApp"})
"""Apps that fetch previews by that name, and hang it behind the agent of the browser within them as well."""
_BROWSERS = ("Mozilla/5.0 (Linux; Android", "Mozilla/5.0 (iPhone", "Mozilla/5.0 (iPad")


def _grams(text: str) -> set[str]:
    return {text[at : at + LETTERS] for at in range(len(text) - LETTERS + 1)}


_ORDINARY = frozenset(
    gram
    for text in (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Edg/131.0 (X11; Linux x86_64)",
    )
    for gram in _grams(text)
)


def _kind(entry: Mapping[str, object]) -> Declared:
    tags = entry.get("tags") or ()
    return next((kind for tag, kind in _TAGS if isinstance(tags, Sequence) and tag in tags), Declared.CRAWLER)
