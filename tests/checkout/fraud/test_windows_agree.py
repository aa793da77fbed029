"""The script and its Python twin are one thing: random acts are played on both, on a real store."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from checkout.fraud.signals import Pseudonyms, subjects
from checkout.fraud.store import LUA, WindowStore, key
from checkout.fraud.windows import DEFAULTS, Act, Window, count, windows_of
from kernel.clock import SET_BACK_MS
from kernel.errors import Unavailable
from kernel.lua import Script, load
from kernel.store import connect
from tests.checkout.fraud.suspects import FRAN, SECRET

NOW_MS = 1_800_000_000_000
WINDOW_MS = 60_000

WAITS_MS = st.sampled_from(
    (0, 1, WINDOW_MS // 2, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1, -1, -SET_BACK_MS, -SET_BACK_MS - 1)
)
MEMBERS = st.sampled_from(("", "a", "b", "c", "d", "e"))
ACTS = st.lists(st.tuples(WAITS_MS, MEMBERS, MEMBERS), max_size=25)


async def agree(
    store: Redis, most: int, acts: list[tuple[int, str, str]], script: Script | None = None
) -> None:
    """Play the acts on both: two windows of different length in each call."""
    await store.flushall()
    windows = WindowStore(store, None if script is None else {"count": script})
    short, long = Window("short", "x", most, WINDOW_MS, ""), Window("long", "x", most + 1, 3 * WINDOW_MS, "")
    kept: dict[str, dict[str, int]] = {"short": {}, "long": {}}
    now_ms = NOW_MS
    for wait_ms, first, second in acts:
        now_ms += wait_ms
        asked = (replace(short, member=first), replace(long, member=second))
        told = await windows.count(asked, now_ms)
        for window in asked:
            number, kept[window.name] = count(
                kept[window.name], window.most, window.window_ms, window.member, now_ms
            )
            assert told[window.name] == number
            rows = await store.zrange(key(window), 0, -1, withscores=True)
            assert {member.decode(): int(at_ms) for member, at_ms in rows} == kept[window.name]


@given(st.integers(1, 3), ACTS)
async def test_the_script_and_its_twin_agree(
    store: Redis, most: int, acts: list[tuple[int, str, str]]
) -> None:
    """Whatever is seen, however often, at and around the edges of the windows, with a clock that jumps back."""
    await agree(store, most, acts)


STORY: list[tuple[int, str, str]] = [
    (0, "a", "a"), (1, "a", "b"), (0, "b", ""), (1, "c", "c"), (0, "d", "d"), (0, "e", "e"), (0, "a", "a"),
    (WINDOW_MS - 1, "", ""), (1, "", ""), (0, "f", "f"), (-1, "f", "f"), (-SET_BACK_MS, "g", "g"),
    (2 * WINDOW_MS, "h", "h"),
]  # fmt: skip

MUTANTS = {
    "the edge of the window is forgotten": (
        "'-inf', now_ms - window_ms", "'-inf', now_ms - window_ms - 1",
    ),
    "a window forgets nothing": ("redis.call('ZREMRANGEBYSCORE', window, '-inf', now_ms - window_ms)", ""),
    "a retry counts twice": ("'GT', now_ms, member", "'GT', now_ms, member .. redis.call('ZCARD', window)"),
    "the clock turns time back": ("'ZADD', window, 'GT',", "'ZADD', window,"),
    "what is over the limit is kept": ("redis.call('ZREMRANGEBYRANK', window, 0, -(most + 2))", ""),
    "one too few is kept": ("-(most + 2)", "-(most + 1)"),
    "the future is believed": (
        "redis.call('ZREMRANGEBYSCORE', window, string.format('(%.0f', now_ms + set_back_ms), '+inf')", "",
    ),
    "a look counts": ("if member ~= '' then", "if true then"),
    "all windows have the first one's length": ("local row = place * 3 - 1", "local row = 2"),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_script_without_one_of_its_rules_is_noticed(mutant: str, store: Redis) -> None:
    """The mutants: each differs from the twin within a short story."""
    await agree(store, 2, STORY)

    with pytest.raises(AssertionError):
        await agree(store, 2, STORY, load(LUA / "count.lua").mutated(*MUTANTS[mutant]))


async def test_without_a_given_time_the_stores_own_counts(store: Redis) -> None:
    """As in production."""
    windows = WindowStore(store)
    window = Window("w", "x", 3, WINDOW_MS, "a")
    await windows.count([window])

    seconds, _ = await store.time()
    [(member, at_ms)] = await store.zrange(key(window), 0, -1, withscores=True)
    assert member == b"a"
    assert abs(seconds * 1_000 - int(at_ms)) < 60_000


async def test_a_window_goes_by_itself_and_a_look_leaves_nothing(store: Redis) -> None:
    """Each key ends soon after its window."""
    windows = WindowStore(store)
    window = Window("w", "x", 3, WINDOW_MS, "a")
    await windows.count([window, replace(window, name="looked", member="")])

    assert await store.keys("*") == [key(window).encode()]
    assert WINDOW_MS < await store.pttl(key(window)) <= WINDOW_MS + SET_BACK_MS


async def test_a_window_is_bounded_however_much_is_done(store: Redis) -> None:
    """One more than the limit, never more."""
    windows = WindowStore(store)
    for number in range(30):
        told = await windows.count([Window("w", "x", 5, WINDOW_MS, f"m{number}")])

    assert told == {"w": 6}
    assert await store.zcard("co:{fraud}:w:x") == 6


async def test_nothing_stands_in_the_store_in_clear(store: Redis) -> None:
    """No account, address, device, card or order; neither in names nor in members."""
    names = Pseudonyms(SECRET)
    member = names.of(Act.PAY, FRAN.id)
    await WindowStore(store).count(windows_of(DEFAULTS, Act.PAY, names.all_of(subjects(FRAN)), member))

    keys = await store.keys("*")
    everything = b" ".join(keys) + b" ".join([b" ".join(await store.zrange(one, 0, -1)) for one in keys])
    assert len(keys) == 7
    for secret in (FRAN.account, FRAN.address, FRAN.device, FRAN.card, FRAN.id):
        assert secret.encode() not in everything


async def test_a_store_that_refuses_is_unavailable(store: Redis) -> None:
    """And nothing else leaves the store's file."""
    await store.set("co:{fraud}:w:x", "not a window")

    with pytest.raises(Unavailable):
        await WindowStore(store).count([Window("w", "x", 3, WINDOW_MS, "a")])


async def test_where_nobody_is_known_the_store_is_not_asked(tmp_path: Path) -> None:
    """So it need not be there."""
    client = connect(f"unix://{tmp_path}/nobody.sock")
    try:
        assert await WindowStore(client).count([]) == {}
    finally:
        await client.aclose()
