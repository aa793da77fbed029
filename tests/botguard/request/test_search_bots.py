"""Search engines' crawlers: confirmed by name and back, in the background, with an end to every question."""

import asyncio
import socket
from ipaddress import ip_address
from threading import Event

import pytest

from botguard.request import resolver as adapter
from botguard.request.facts import Who
from botguard.request.resolver import THREADS, SystemResolver
from botguard.request.search_bots import AGAIN_MS, KEPT_MS, MOST_ASKED, SearchBots, Standing, is_below
from tests.botguard.request.browsers import NOW_MS, chromium, read, reader, replaced

GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
TRUE, FALSE, STRANGER = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("192.0.2.3")


class Names:
    """A name service: one true crawler, one that only says so, one that is called something else."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: type[Exception] | None = None
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def name_of(self, address: str) -> str:
        """Give an address' name."""
        self.asked.append(address)
        await self.goes_on.wait()
        if self.fails is not None:
            raise self.fails
        return {
            "192.0.2.1": "crawl-1.googlebot.com",
            "192.0.2.2": "crawl-2.googlebot.com",
            "192.0.2.3": "crawl.googlebot.com.evil.example",
        }.get(address, "")

    async def addresses_of(self, name: str) -> frozenset[str]:
        """Give a name's addresses."""
        return frozenset({"192.0.2.1"}) if name == "crawl-1.googlebot.com" else frozenset({"192.0.2.99"})


class Stage:
    """Crawlers over such a name service."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.names = Names()
        self.told: list[str] = []
        self.bots = SearchBots(self.names, self.told.append, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("address", "standing"),
    [(TRUE, Standing.CONFIRMED), (FALSE, Standing.REFUTED), (STRANGER, Standing.REFUTED)],
)
async def test_a_crawler_is_confirmed_by_name_and_back(address: object, standing: Standing) -> None:
    """Nobody waits: at first it is unknown, later it is what it is."""
    here = Stage()

    assert here.bots.standing(ip_address(str(address)), GOOGLE, NOW_MS) is Standing.UNKNOWN
    await here.bots.settled()

    assert here.bots.standing(ip_address(str(address)), GOOGLE, NOW_MS + 1) is standing
    assert here.told == [standing.value]
    assert here.names.asked == [str(address)]


async def test_one_that_is_not_looked_up_backwards_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: whoever owns an address may call it what they like."""
    here = Stage()

    async def trusting(name: str) -> frozenset[str]:
        del name
        return frozenset({str(FALSE)})

    monkeypatch.setattr(here.names, "addresses_of", trusting)
    here.bots.standing(FALSE, GOOGLE, NOW_MS)
    await here.bots.settled()

    assert here.bots.standing(FALSE, GOOGLE, NOW_MS) is Standing.CONFIRMED


async def test_an_answer_is_kept_for_a_day_and_a_failure_for_minutes() -> None:
    """Then it is asked again."""
    here = Stage()
    here.bots.standing(TRUE, GOOGLE, NOW_MS)
    await here.bots.settled()
    assert here.bots.standing(TRUE, GOOGLE, NOW_MS + KEPT_MS - 1) is Standing.CONFIRMED
    assert len(here.names.asked) == 1

    here.names.fails = OSError
    here.bots.standing(TRUE, GOOGLE, NOW_MS + KEPT_MS)
    await here.bots.settled()
    assert here.bots.standing(TRUE, GOOGLE, NOW_MS + KEPT_MS + AGAIN_MS - 1) is Standing.UNKNOWN
    assert len(here.names.asked) == 2
    here.names.fails = None
    here.bots.standing(TRUE, GOOGLE, NOW_MS + KEPT_MS + AGAIN_MS)
    await here.bots.settled()
    assert here.bots.standing(TRUE, GOOGLE, NOW_MS + KEPT_MS + AGAIN_MS) is Standing.CONFIRMED


async def test_a_name_service_that_hangs_holds_nobody_up_and_is_asked_little() -> None:
    """A few questions at a time; each comes to an end."""
    here = Stage(timeout_s=0.01)
    here.names.goes_on.clear()
    for last in range(20):
        assert here.bots.standing(ip_address(f"192.0.2.{last}"), GOOGLE, NOW_MS) is Standing.UNKNOWN
    await here.bots.settled()

    assert len(here.names.asked) == MOST_ASKED
    assert here.told == ["unknown"] * MOST_ASKED


async def test_questions_end_with_their_worker() -> None:
    """What is under way is left."""
    here = Stage()
    here.names.goes_on.clear()
    here.bots.standing(TRUE, GOOGLE, NOW_MS)
    await asyncio.sleep(0)

    await here.bots.close()

    assert here.told == []


async def test_a_confirmed_crawler_is_one_and_any_other_is_declared_only() -> None:
    """As facts of a request."""
    here = Stage()
    reads = reader(search_bots=here.bots)
    headers = replaced(chromium(), b"user-agent", GOOGLE.encode())
    first = read(headers, str(TRUE), reads).who
    read(headers, str(FALSE), reads)
    await here.bots.settled()

    assert first is Who.CRAWLER
    assert read(headers, str(TRUE), reads).who is Who.SEARCH_BOT
    assert read(headers, str(FALSE), reads).who is Who.CRAWLER


def test_a_domain_is_not_the_end_of_another_ones_name() -> None:
    """Dots count."""
    assert is_below("a.googlebot.com", ("googlebot.com",))
    assert not is_below("googlebot.com", ("googlebot.com",))
    assert not is_below("agooglebot.com", ("googlebot.com",))
    assert not is_below("", ("googlebot.com",))


async def test_the_machines_name_service_is_asked_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network: what it says, that it knows nothing, and that it does not answer."""
    here = SystemResolver()
    assert "127.0.0.1" in await here.addresses_of("localhost")
    monkeypatch.setattr(adapter.socket, "getnameinfo", lambda *_: ("a.example", "0"))
    assert await here.name_of("192.0.2.1") == "a.example"

    def fails(errno: int) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(errno, "no")

        monkeypatch.setattr(adapter.socket, "getnameinfo", fail)
        monkeypatch.setattr(adapter.socket, "getaddrinfo", fail)

    fails(socket.EAI_NONAME)
    assert (await here.name_of("192.0.2.1"), await here.addresses_of("a.example")) == ("", frozenset())
    fails(socket.EAI_AGAIN)
    with pytest.raises(OSError, match="no"):
        await here.name_of("192.0.2.1")
    with pytest.raises(OSError, match="no"):
        await here.addresses_of("a.example")


async def test_while_all_threads_hang_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that hangs costs a few threads, and they come free again."""
    here, goes_on, asked = SystemResolver(), Event(), []

    def hang(*_: object) -> tuple[str, str]:
        asked.append(1)
        goes_on.wait()
        return "a.example", "0"

    monkeypatch.setattr(adapter.socket, "getnameinfo", hang)
    waiting = [asyncio.ensure_future(here.name_of("192.0.2.1")) for _ in range(THREADS)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(OSError, match="does not answer"):
        await here.name_of("192.0.2.1")

    goes_on.set()
    assert await asyncio.gather(*waiting[1:]) == ["a.example"] * (THREADS - 1)
    while here._busy:  # noqa: ASYNC110 (the first one's thread ends unheard)
        await asyncio.sleep(0)
    assert await here.name_of("192.0.2.1") == "a.example"
    assert len(asked) == THREADS + 1
