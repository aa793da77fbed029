"""A door to test: a small line, its keys in a real store, and the door read back as the rules know it."""

from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from admission.door import EMPTY_LEAF, LEAF_BYTES, Door, Entry, LineNow, Place, Stay
from admission.limits import Limits
from admission.ports import LineKeys
from admission.store import CHUNK, Keys

ROOM = "main"
RUN = "00000000000000aa"
NOW_MS = 1_800_000_000_000
KEYS = LineKeys("wr:{main}:line", "wr:{main}:journal")
SLOWED_KEY = "wr:{main}:slowed"
LIMITS = Limits(
    new_users_per_minute=60,
    total_active_users=3,
    audience="https://shop.example",
    issuer="https://tickets.example",
    session_ms=40_000,
)
LINE = LineNow(RUN, 2, "serving", {"verified": 1000, "standard": 1000, "suspect": 0})
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, CHUNK - 1, CHUNK)
"""The last two stand on either side of a chunk's border."""

COUNTS = ("tat_us", "last_ms", "paused_ms", "recall_due", "admitted", "left", "ended_version")


def ticket_id(number: int, twin: int = 0) -> str:
    """Name a ticket; two tickets of one number are twins (a store that forgot gave it twice)."""
    return f"{number}-{twin}"


def leaf(number: int, twin: int = 0) -> bytes:
    """Return a ticket's leaf."""
    return ticket_id(number, twin).encode().rjust(LEAF_BYTES, b"L")


def sid(number: int, twin: int = 0) -> str:
    """Return a ticket's session id; their order is not the order of numbers."""
    return f"s{(number * 7) % 10}-{number}-{twin}"


def place(number: int, twin: int = 0, **changes: Any) -> Place:
    """Return the place of a ticket in the standard lane, undrawn, called just now."""
    own = Place(
        room=ROOM,
        run=RUN,
        epoch=2,
        number=number,
        rank=number % 100,
        lane="standard",
        leaf=leaf(number, twin),
        ticket_id=ticket_id(number, twin),
        called_ms=NOW_MS,
        recall=False,
        line_key=KEYS.line,
        leaves_key=f"wr:{{main}}:leaves:{number // CHUNK}",
        leaf_offset=number % CHUNK * LEAF_BYTES,
        journal_key=KEYS.journal,
        slowed_key=SLOWED_KEY,
    )
    return replace(own, **changes)


async def write_line(store: Redis, line: LineNow | None) -> None:
    """Put a line into the store as the waiting room does, or take it away."""
    await store.delete(KEYS.line, SLOWED_KEY)
    if line is not None:
        fields: dict[str, str | int] = {
            "run": line.run, "epoch": line.epoch, "phase": line.phase, "seed": line.seed, "issued": line.issued,
            **{f"serving:{lane}": rank for lane, rank in line.serving.items()},
        }  # fmt: skip
        await store.hset(KEYS.line, mapping=fields)
        if line.slowed:
            await store.hset(SLOWED_KEY, mapping=dict.fromkeys(line.slowed, "0 behaviour"))
        if line.asked:
            asked = {str(number): f"{way} 0 behaviour" for number, way in line.asked.items()}
            await store.hset(SLOWED_KEY, mapping=asked)


async def write_leaf(store: Redis, number: int, octets: bytes) -> None:
    """Put a leaf where it belongs."""
    own = place(number)
    if not await store.strlen(own.leaves_key):
        await store.setrange(own.leaves_key, CHUNK * LEAF_BYTES - 1, "\0")
    await store.setrange(own.leaves_key, own.leaf_offset, octets)


async def a_line(store: Redis, line: LineNow = LINE, numbers: tuple[int, ...] = NUMBERS) -> Door:
    """Begin: a line and the leaves of its numbers; returns the door that matches."""
    await write_line(store, line)
    for number in numbers:
        await write_leaf(store, number, leaf(number))
    return Door(leaves={number: leaf(number) for number in numbers})


async def read_door(store: Redis, keys: Keys) -> Door:
    """Read everything the store knows of a door."""
    pipe = store.pipeline(transaction=False)
    pipe.hgetall(keys.door)
    for key in (keys.next_seen, keys.next, keys.recall, keys.sessions, keys.ended):
        pipe.zrange(key, 0, -1, withscores=True)
    for key in (keys.next_who, keys.stays, keys.came, keys.evicted, keys.withheld):
        pipe.hgetall(key)
    for index in range(2):
        pipe.bitcount(f"{keys.claimed}:{index}")
    for number in NUMBERS:
        own = place(number)
        pipe.getrange(own.leaves_key, own.leaf_offset, own.leaf_offset + LEAF_BYTES - 1)
        pipe.getbit(keys.chunk(number), number % CHUNK)
    state, seen, called, late, held, ended, who, stays, came, out, index, *rest = await pipe.execute()
    (bits, octets, claimed) = rest[:2], rest[2::2], rest[3::2]

    seen_ms = dict(seen)
    entries: dict[str, Entry] = {}
    for waiting, recall in ((called, False), (late, True)):
        for name, rank in waiting:
            assert name in who, "an entry stands at the door that nobody knows"
            assert name in seen_ms, "an entry stands at the door that was never seen"
            number, own_rank, lane = who.pop(name).decode().split()
            assert int(own_rank) == rank
            entries[name.decode()] = Entry(int(number), int(own_rank), lane, recall, int(seen_ms.pop(name)))
    assert not seen_ms, "an entry is remembered that stands nowhere"
    assert not who, "an entry is described that stands nowhere"
    taken = frozenset(number for number, bit in zip(NUMBERS, claimed, strict=True) if bit)
    assert sum(bits) == len(taken), "a bit stands elsewhere"
    visits = {kept.split()[1]: number for number, kept in out.items() if b" " in kept}
    assert index == visits, "the sessions that evictions took are found by other numbers"
    numbers = {name.decode(): int(value) for name, value in state.items()}
    return Door(
        **{name: numbers.get(name, 0) for name in COUNTS},
        claimed=taken,
        sessions={name.decode(): int(until_ms) for name, until_ms in held},
        stays={name.decode(): _stay(text) for name, text in stays.items()},
        ended={name.decode(): int(until_ms) for name, until_ms in ended},
        next=entries,
        came={int(slot): int(count) for slot, count in came.items()},
        evicted={int(number): _kept(text) for number, text in out.items()},
        leaves={n: leaf_ for n, leaf_ in zip(NUMBERS, octets, strict=True) if leaf_ not in (b"", EMPTY_LEAF)},
    )


def _stay(text: bytes) -> Stay:
    since_ms, run, lane = text.decode().split()
    return Stay(int(since_ms), run, lane)


def _kept(text: bytes) -> tuple[str, int] | None:
    until_ms, _, name = text.decode().partition(" ")
    return (name, int(until_ms)) if name else None


async def journal(store: Redis) -> list[dict[str, str]]:
    """Read the acts that were recorded."""
    return [
        {name.decode(): value.decode() for name, value in fields.items()}
        for _, fields in await store.xrange(KEYS.journal)
    ]
