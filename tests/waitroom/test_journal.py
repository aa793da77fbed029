"""The journal's chain: what it binds, and what breaks it."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.journal import (
    BLOCK_LEAVES,
    GENESIS,
    LEAF_BYTES,
    Entry,
    Head,
    Kind,
    Leaves,
    NewEntry,
    blocks,
    body_text,
    chain,
    entry_hash,
    head_message,
    kind_of,
    leaves_entry,
    source_of,
    verify,
)

ENTRY = NewEntry(1_800_000_000_000, "main", "0011223344556677", Kind.CALLED, {"standard": "5", "a": "é"}, "x")


def _entries(count: int) -> list[Entry]:
    return chain([replace(ENTRY, at_ms=at, source=f"s{at}") for at in range(count)], 0, GENESIS)


def test_the_hash_of_an_entry_is_the_documented_bytes() -> None:
    """Nine fields, each after its length in four bytes; the value below was made with printf and sha256sum."""
    assert GENESIS.hex() == "be92b9360bcc6edf3e70e18fed66a77b297349e055bb69e851cd2756b9d60506"
    assert (
        entry_hash(ENTRY, 1, GENESIS).hex()
        == "2bc5e4ba2e31efc595d618c7b3fea3646fd8d89dcb7ec46834565c19b6756b44"
    )


def test_a_body_has_one_form_only() -> None:
    """Keys are sorted, blanks left out, everything outside ASCII escaped, NUL too."""
    assert body_text({"b": "1", "a": "é\0"}) == '{"a":"\\u00e9\\u0000","b":"1"}'


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), st.text(st.characters(max_codepoint=127))))
def test_the_quick_form_of_a_plain_body_is_the_same(body: dict[str, str]) -> None:
    """Another writer takes what is printable ASCII; at quotes, control characters and DEL the two might differ."""
    assert body_text(body) == json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def test_a_body_takes_texts_only() -> None:
    """A number would be written differently by another writer."""
    with pytest.raises(TypeError):
        body_text({"a": 1})  # type: ignore[dict-item]
    with pytest.raises(UnicodeEncodeError):
        body_text({"a": "\ud800"})


def test_an_untouched_chain_is_whole() -> None:
    """Nothing is found where nothing was done; an empty chain is whole too."""
    assert verify(_entries(5)) is None
    assert verify([]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"at_ms": 9},
        {"room": "other"},
        {"run": "ffffffffffffffff"},
        {"kind": Kind.ADMITTED},
        {"body": {"standard": "6"}},
        {"source": "y"},
        {"hash": bytes(32)},
        {"prev": bytes(32)},
        {"seq": 7},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_field_breaks_the_chain_where_it_was_changed(change: dict[str, object]) -> None:
    """Every field of an entry is bound by its hash."""
    entries = _entries(5)
    entries[2] = replace(entries[2], **change)  # type: ignore[arg-type]

    assert verify(entries) == 3


def test_a_changed_entry_with_a_new_hash_breaks_the_next_one() -> None:
    """Whoever hashes anew must hash everything that follows."""
    entries = _entries(5)
    forged = replace(entries[2], body={"standard": "9"})
    entries[2] = replace(forged, hash=entry_hash(forged, 3, forged.prev))

    assert verify(entries) == 4


def test_dropped_and_swapped_entries_are_found() -> None:
    """A hole and a changed order show at the first entry out of place."""
    entries = _entries(5)

    assert verify(entries[:2] + entries[3:]) == 3
    assert verify([entries[0], entries[2], entries[1], *entries[3:]]) == 2


def test_a_wholly_rewritten_chain_is_found_by_a_kept_head() -> None:
    """A chain that is sound in itself still does not fit a head that was kept."""
    head = Head(4, 0, _entries(5)[3].hash, "")
    rewritten = chain([replace(ENTRY, at_ms=at, source="other") for at in range(5)], 0, GENESIS)

    assert verify(rewritten) is None
    assert verify(rewritten, [head]) == 4


def test_a_cut_end_is_found_by_a_kept_head() -> None:
    """Cutting the end off leaves a sound chain; only a head beyond it tells."""
    entries = _entries(5)
    head = Head(5, 0, entries[4].hash, "")

    assert verify(entries[:3]) is None
    assert verify(entries[:3], [head]) == 4


def test_two_heads_of_one_entry_must_agree() -> None:
    """A false head beside the true one is found whichever comes first."""
    entries = _entries(2)
    heads = [Head(2, 0, entries[1].hash, ""), Head(2, 0, bytes(32), "")]

    assert verify(entries, heads) == verify(entries, heads[::-1]) == 2


def test_a_head_is_signed_with_its_place_and_time() -> None:
    """The signed text is plain, so that anyone can compose it."""
    assert head_message(7, 9, b"\xab") == b"waitroom-journal-head-v1\n7\n9\nab\n"


def test_an_unknown_kind_is_kept_as_other() -> None:
    """A word of a newer version neither stops the drain nor is lost."""
    assert kind_of("called") is Kind.CALLED
    assert kind_of("teleported") is Kind.OTHER


def test_a_source_names_the_place_and_the_content() -> None:
    """Same id and same fields: the same act. Anything else: another act."""
    name = source_of("main", "r", "1-0", [b"kind", b"called"])
    later = source_of("main", "r", "1-1", [b"kind", b"called"])
    other = source_of("main", "r", "1-0", [b"kindcalled"])

    assert name == source_of("main", "r", "1-0", [b"kind", b"called"])
    assert len({name, later, other}) == 3


def test_leaves_are_bound_by_their_digest() -> None:
    """The entry names where they start, how many they are, and their SHA-256."""
    entry = leaves_entry(Leaves("main", "r", 3, bytes(32), 5))

    assert entry.body == {"start": "3", "count": "2", "sha256": hashlib.sha256(bytes(32)).hexdigest()}
    assert entry.source == "main:r:leaves:3"


@given(start=st.integers(0, 5000), count=st.integers(0, 5000))
def test_blocks_never_cross_a_border(start: int, count: int) -> None:
    """Rows hold together what was given, and none crosses a multiple of 1,024."""
    octets = b"".join(number.to_bytes(LEAF_BYTES, "big") for number in range(start, start + count))
    rows = list(blocks(Leaves("main", "r", start, octets, 0)))

    assert b"".join(row for _, row in rows) == octets
    at = start
    for since, row in rows:
        size = len(row) // LEAF_BYTES
        assert since == at
        assert size > 0
        assert since // BLOCK_LEAVES == (since + size - 1) // BLOCK_LEAVES
        at += size
