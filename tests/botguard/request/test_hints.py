"""What headers say against an agent: nothing against real browsers, and each contradiction by its own word."""

from types import MappingProxyType

import pytest

from botguard.request import hints
from botguard.request.agents import Engine, System, read_agent
from botguard.request.facts import Who
from botguard.request.hints import Sign
from tests.botguard.request import browsers
from tests.botguard.request.browsers import (
    CHROME_AGENT,
    PEOPLE,
    chromium,
    firefox,
    read,
    replaced,
    safari,
    without,
)

JA4_BROWSER = "t13d1516h2_8daaf6152771_02713d6af862"


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("who", PEOPLE)
def test_nothing_speaks_against_a_real_browser(who: str, direct: bool) -> None:
    """Neither over TLS nor without, with a proxy in between or not."""
    for is_tls in (True, False):
        headers = PEOPLE[who] if is_tls else [row for row in PEOPLE[who] if not row[0].startswith(b"sec-")]
        facts = read(headers, is_tls=is_tls, is_direct=direct, ja4=JA4_BROWSER if is_tls else "")

        assert (facts.who, facts.signs) == (Who.UNDECLARED, ())


CONTRADICTIONS = {
    Sign.AGENT_MISSING: without(chromium(), b"user-agent"),
    Sign.HINTS_MISSING: without(chromium(), b"sec-ch-ua", b"sec-ch-ua-platform", b"sec-ch-ua-mobile"),
    Sign.HINTS_UNEXPECTED: [*firefox(), (b"sec-ch-ua", b'"Chromium";v="131"')],
    Sign.HINTS_VERSION: chromium(version=119),
    Sign.HINTS_SYSTEM: chromium(system="Linux"),
    Sign.HINTS_MOBILE: chromium(mobile=True),
    Sign.FETCH_MISSING: without(safari(), b"sec-fetch-site"),
    Sign.LANGUAGE_MISSING: without(chromium(), b"accept-language"),
    Sign.ORDER: sorted(chromium()),
}


@pytest.mark.parametrize("sign", CONTRADICTIONS)
def test_a_contradiction_is_named(sign: Sign) -> None:
    """Each by itself and by no other word."""
    assert read(CONTRADICTIONS[sign]).signs == (sign,)


@pytest.mark.parametrize(
    "ja4",
    [
        "t12d1516h2_8daaf6152771_02713d6af862",
        "t13i1516h2_8daaf6152771_02713d6af862",
        "t13d151600_8daaf6152771_02713d6af862",
    ],
)
def test_a_handshake_that_is_no_browsers_is_named(ja4: str) -> None:
    """An old version, no host, no protocol."""
    assert read(chromium(), ja4=ja4).signs == (Sign.TLS,)


@pytest.mark.parametrize("ja4", ["", "nonsense", JA4_BROWSER + "x"])
def test_a_handshake_that_nobody_passes_on_is_missing(ja4: str) -> None:
    """So is one that cannot be read."""
    assert read(chromium(), ja4=ja4).signs == ()


def test_what_only_comes_over_tls_is_not_missed_without_it() -> None:
    """A site on plain HTTP gets neither hints nor fetch metadata."""
    plain = [row for row in chromium() if not row[0].startswith(b"sec-")]

    assert read(plain, is_tls=False).signs == ()
    assert set(read(plain).signs) == {Sign.HINTS_MISSING, Sign.FETCH_MISSING}


def test_the_order_counts_only_where_nobody_stands_in_between() -> None:
    """A proxy may have changed it."""
    shuffled = sorted(chromium())

    assert read(shuffled, is_direct=False).signs == ()
    assert read(shuffled, is_direct=True).signs == (Sign.ORDER,)


def test_behind_a_proxy_that_says_so_nothing_is_missed() -> None:
    """It may strip, turn over and speak TLS in its own way; what contradicts the agent still does."""
    via = (b"via", b"1.1 proxy.company.example")
    bare = sorted(row for row in chromium() if not row[0].startswith((b"sec-", b"accept-language")))

    assert read([*bare, via], ja4="t12d1516h2_8daaf6152771_02713d6af862").signs == ()
    assert len(read(bare, ja4="t12d1516h2_8daaf6152771_02713d6af862").signs) == 5
    assert read([*chromium(version=119), via]).signs == (Sign.HINTS_VERSION,)


def test_an_order_that_counts_behind_a_proxy_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: Safari's order held against Chromium's people."""
    monkeypatch.setattr(hints, "ORDERS", MappingProxyType({Engine.SAFARI: hints.ORDERS[Engine.CHROMIUM]}))

    assert read(PEOPLE["safari"]).signs == (Sign.ORDER,)


def test_hints_expected_of_everybody_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: what Chromium sends is missed in old versions, too, and people's browsers contradict themselves."""
    old = replaced(chromium(), b"user-agent", CHROME_AGENT.replace("131", "75").encode())
    old = [row for row in old if not row[0].startswith(b"sec-")]
    assert read(old).signs == ()

    monkeypatch.setattr(hints, "CHROMIUM_HINTS_SINCE", 0)

    assert Sign.HINTS_MISSING in read(old).signs


@pytest.mark.parametrize(
    ("agent", "engine", "version", "system", "mobile"),
    [
        (CHROME_AGENT, Engine.CHROMIUM, 131, System.WINDOWS, False),
        (browsers.PHONE_AGENT, Engine.CHROMIUM, 131, System.ANDROID, True),
        (browsers.EDGE_AGENT, Engine.CHROMIUM, 131, System.WINDOWS, False),
        (browsers.FIREFOX_AGENT, Engine.FIREFOX, 133, System.LINUX, False),
        (browsers.SAFARI_AGENT, Engine.SAFARI, 18, System.IOS, True),
        (browsers.IN_APP_AGENT, Engine.OTHER, 0, System.IOS, True),
        (browsers.WEBVIEW_AGENT, Engine.OTHER, 0, System.ANDROID, True),
        (browsers.WEBVIEW_AGENT.replace("; wv", ""), Engine.OTHER, 0, System.ANDROID, True),
        (browsers.OLD_AGENT, Engine.OTHER, 0, System.WINDOWS, False),
        ("", Engine.OTHER, 0, System.OTHER, False),
    ],
)
def test_an_agent_is_read(agent: str, engine: Engine, version: int, system: System, mobile: bool) -> None:
    """The large engines with their versions; of the others nothing is expected."""
    found = read_agent(agent)

    assert (found.engine, found.version, found.system, found.is_mobile) == (engine, version, system, mobile)
