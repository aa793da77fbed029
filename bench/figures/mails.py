"""The figure mails: mails a second from the outbox to a mail server in another process, and how long 15,000 take.

What is timed is what a shop does: messages stand in SQLite, a relay leases them, writes each in its language (subject,
text, HTML), hands it over, and writes down that it was taken, each in a commit that waits for the disk. Putting them is
not timed. The reference is the bare library: the same mails, ready-made, over as many connections, with no outbox. A
run counts only if the server has every mail, and each once.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.figure import Figure, failed, median_ratio, say
from bench.harness import Bench, wait_for
from checkout.database import ShopDatabase
from checkout.grouping import Grouping
from checkout.metrics import Metrics
from checkout.notifications.mail import Mailing, compose
from checkout.notifications.message import Kind, Message, message_id
from checkout.notifications.nobody import NoPapers
from checkout.notifications.ports import Contact, Mail
from checkout.notifications.relay import Home, Relay
from checkout.notifications.store import put
from checkout.site.mails import written
from checkout.site.words import languages
from kernel.clock import SystemClock
from kernel.mail import Post, Ready, Server, sender_of

MAILS = 15_000
LEAST_PER_S = 300.0
MOST_S = 60.0
MOST_ROUNDS = 3
CONNECTIONS = 8
PUT_AT_ONCE = 1_000
SENDER = "Aurora Hall <tickets@aurora.example>"
LANGUAGES = ("en", "de", "ja", "ar")


class Fans:
    """Contacts: a fan for each order, in one of four languages."""

    async def of(self, event: str, subject: str) -> Contact | None:
        """Find whom to tell."""
        del event
        return _contact(subject)


class Words:
    """The shop's own words, of an event that is known."""

    async def write(self, message: Message, contact: Contact) -> Mail:
        """Write a mail."""
        return _mail(message, contact)


class OneHome:
    """One outbox."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def all(self) -> Sequence[Home]:
        """Return it."""
        return (self._home,)

    def is_here(self, home: Home, event: str) -> bool:
        """Everything is here."""
        del home, event
        return True


def measure(bench: Bench) -> Iterator[Figure]:
    """Send round after round, with the bare library between."""
    rounds = min(bench.rounds, MOST_ROUNDS)
    ours, bare, error = [], [], None
    for number in range(rounds):
        url = f"sqlite:///{bench.folder / f'shop-{number}.db'}"
        with _mailbox(bench, f"bare-{number}") as box:
            bare.append(asyncio.run(_bare(box.port)))
        error = error or box.missing()
        with _mailbox(bench, f"ours-{number}") as box:
            ours.append(asyncio.run(_ours(url, box.port)))
        error = error or box.missing()
        say(f"round {number + 1} of {rounds}: {ours[-1]:.0f}/s, the bare library {bare[-1]:.0f}/s")
    rate = sorted(ours)[len(ours) // 2]
    figure = Figure(
        "mails",
        rate,
        "mails/s",
        "aiosmtplib alone: the same mails, ready-made, over as many connections",
        ratio=median_ratio(ours, bare),
        beside={"seconds_for_15000": MAILS / rate, "reference_per_s": sorted(bare)[len(bare) // 2]},
        target=f">= {LEAST_PER_S:.0f} mails/s, {MAILS:,} in <= {MOST_S:.0f} s",
        met=rate >= LEAST_PER_S and MAILS / rate <= MOST_S,
        conditions=bench.conditions(
            load=f"{MAILS:,} messages a round, {CONNECTIONS} connections",
            rounds=rounds,
            database="SQLite, WAL, synchronous=FULL",
            mail_server="aiosmtpd, in a process and on a core of its own",
        ),
        details={"slowest_round": round(min(ours), 1), "fastest_round": round(max(ours), 1)},
    )
    yield figure if error is None else failed(figure, error)


class Box:
    """A mail server that runs."""

    def __init__(self, port: int, count: Path) -> None:
        self.port = port
        self._count = count

    def missing(self) -> str | None:
        """Say what did not arrive, or came twice; to be asked when it has ended."""
        found = json.loads(self._count.read_text())
        return None if found == {"mails": MAILS, "names": MAILS} else f"{found} arrived, not {MAILS} of each"


@contextmanager
def _mailbox(bench: Bench, name: str) -> Iterator[Box]:
    port, count = bench.folder / f"{name}.port", bench.folder / f"{name}.json"
    core = str(bench.cores.load)
    child = subprocess.Popen([sys.executable, "-m", "bench.mailbox", str(port), str(count), core])
    try:
        wait_for("the mail server", port.exists, 30)
        yield Box(int(port.read_text()), count)
    finally:
        child.terminate()
        child.wait(30)


async def _ours(url: str, port: int) -> float:
    """Send what stands in an outbox; returns mails a second."""
    database, clock = ShopDatabase(url), SystemClock()
    database.open()
    try:
        for first in range(0, MAILS, PUT_AT_ONCE):
            with database.writing() as connection:
                for message in _messages(range(first, min(first + PUT_AT_ONCE, MAILS))):
                    put(connection, message)
        home = Home("main", Grouping(database))
        server = Server("127.0.0.1", port, SENDER, "none", connections=CONNECTIONS)
        mailing = Mailing(server, Words(), Fans(), NoPapers(), clock)
        relay = Relay(OneHome(home), (mailing,), clock, Metrics(CollectorRegistry()))
        began = time.perf_counter()
        sent = await relay.pass_by(home, mailing)
        took = time.perf_counter() - began
        await relay.close()
    finally:
        database.close()
    return sent / took


async def _bare(port: int) -> float:
    """Send ready-made mails; returns mails a second."""
    sender = sender_of(SENDER)
    ready: list[Ready] = []
    for message in _messages(range(MAILS)):
        contact = _contact(message.subject)
        ready.append(compose(message, contact, _mail(message, contact), (), sender, None, message.created_ms))
    post, left = Post(Server("127.0.0.1", port, SENDER, "none", connections=CONNECTIONS)), iter(ready)

    async def one() -> None:
        for mail in left:
            await post.hand_over(mail)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    took = time.perf_counter() - began
    await post.close()
    return MAILS / took


def _messages(numbers: range) -> Iterator[Message]:
    for number in numbers:
        order, kind = f"O{number:015}", Kind.ORDER_PAID
        facts = {"amount_minor": 8400, "currency": "EUR"}
        yield Message(message_id(kind, order), "bench", kind, order, 1_800_000_000_000, facts)


def _contact(order: str) -> Contact:
    return Contact(f"{order.lower()}@fans.example", LANGUAGES[int(order[1:]) % len(LANGUAGES)])


def _mail(message: Message, contact: Contact) -> Mail:
    words = languages()[contact.language]
    return written(
        words,
        message,
        title="Nils Brandt & Orchester",
        place="Aurora Hall, Bremen",
        when=words.moment(1_800_100_000_000, "Europe/Berlin"),
        zone="Europe/Berlin",
        link=f"https://tickets.example/events/bench/order/{message.subject}",
    )
