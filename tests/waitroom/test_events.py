"""Events and their words: what others get of the journal, and nothing else of it."""

import json

import pytest

from tests.dashboards.outgoing import RUN, configured, entry, settings
from waitroom.event_words import LOUD, WORDS, Moment, message, moments_of, sentences
from waitroom.events import FIELDS, OF_FANS, SCHEMA, STEERING, Told, event_of, moment
from waitroom.journal import GENESIS, Kind, NewEntry, chain


def told(new: NewEntry, before: str = "") -> Told:
    """Place an entry."""
    return Told(chain([new], 0, GENESIS)[0], before)


def changed(**more: object) -> Told:
    """Make a change of a room's settings by Ann."""
    return told(configured(2, 1, "Ann", "", **more), settings(1))


def test_an_event_has_its_place_and_what_means_something_to_others() -> None:
    """The whole of one, as docs/events.md shows it."""
    one = told(
        entry(
            Kind.PHASE,
            1_800_000_000_123,
            epoch="3",
            before="gathering",
            phase="serving",
            who="Ann",
            why="now",
        )
    )
    assert event_of(one) == {
        "schema": "waitroom.event.v1",
        "seq": 1,
        "at": "2027-01-15T08:00:00.123Z",
        "at_ms": 1_800_000_000_123,
        "room": "main",
        "run": RUN,
        "kind": "phase",
        "who": "Ann",
        "why": "now",
        "body": {"epoch": 3, "before": "gathering", "phase": "serving"},
    }
    assert SCHEMA == "waitroom.event.v1"


@pytest.mark.parametrize("kind", Kind)
def test_fields_that_nobody_named_stay_inside(kind: Kind) -> None:
    """Tags, proofs, settings, octets, and whatever is added to an entry one day."""
    hidden = {
        "tag": "hidden", "proof": "hidden", "config": "hidden", "leaves": "hidden", "octets": "hidden", "key": "hidden",
        "later": "hidden", "commitment": "hidden",
    }  # fmt: skip
    event = event_of(told(entry(kind, 1, **hidden)))
    assert "hidden" not in json.dumps(event)
    assert set(event["body"]) <= {"new", "changes"}


def test_every_kind_is_thought_of() -> None:
    """A new kind needs its fields and a decision whether a sale has thousands of it."""
    assert FIELDS.keys() == set(Kind)
    assert set(Kind) == OF_FANS | STEERING


def test_a_change_of_settings_tells_what_changed() -> None:
    """And not the settings; one that cannot be read tells nothing and hides nothing."""
    event = event_of(changed(paused=True, new_users_per_minute=900))
    assert event["body"] == {
        "version": 2,
        "new": False,
        "changes": [
            {"setting": "new_users_per_minute", "old": "200", "new": "900"},
            {"setting": "paused", "old": "false", "new": "true"},
        ],
    }
    spoilt = event_of(Told(changed(paused=True).entry, "{"))
    assert spoilt["body"]["changes"] == []


def test_numbers_are_numbers_and_what_is_none_stays_text() -> None:
    """A bad entry is told as it is."""
    body = event_of(told(entry(Kind.ADMITTED, 1, number="7", rank="x", until_ms="9" * 30)))["body"]
    assert body == {"number": 7, "rank": "x", "until_ms": "9" * 30}
    assert moment(1 << 62) == moment(0)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (told(configured(1, 1, "Ann")), [Moment.MADE]),
        (changed(paused=True), [Moment.PAUSED]),
        (
            Told(configured_entry := told(configured(2, 1, "Ann")).entry, settings(1, paused=True)),
            [Moment.RESUMED],
        ),
        (changed(bypass=True), [Moment.BYPASS_ON]),
        (Told(configured_entry, settings(1, bypass=True)), [Moment.BYPASS_OFF]),
        (changed(new_users_per_minute=9), [Moment.RATE]),
        (changed(total_active_users=9), [Moment.CAP]),
        (changed(stock_state="soldout"), [Moment.SOLD_OUT]),
        (Told(configured_entry, settings(1, stock_state="soldout")), [Moment.BACK_IN_STOCK]),
        (changed(description="x"), [Moment.SETTINGS]),
        (changed(description="x", paused=True), [Moment.PAUSED, Moment.SETTINGS]),
        (told(entry(Kind.FROZEN, 1, frozen="3", who="")), [Moment.FROZEN]),
        (told(entry(Kind.FROZEN, 1, frozen="3", root="ab")), [Moment.ROOT]),
        (told(entry(Kind.PHASE, 1, phase="ended")), [Moment.ENDED]),
        (told(entry(Kind.PHASE, 1, phase="odd")), [Moment.UNKNOWN]),
        (told(entry(Kind.RESTORED, 1)), [Moment.RESTORED]),
        (told(entry(Kind.VOIDED, 1)), [Moment.DOUBT]),
        (told(entry(Kind.OTHER, 1, kind="new-word")), [Moment.UNKNOWN]),
    ],
)
def test_what_happened_is_known_by_more_than_its_kind(one: Told, what: list[Moment]) -> None:
    """A pause is a change of settings, and more than that."""
    assert [which for which, _ in moments_of(one)] == what


@pytest.mark.parametrize("kind", Kind)
def test_there_is_a_sentence_for_everything(kind: Kind) -> None:
    """Whatever an entry has, or lacks."""
    for one in (told(entry(kind, 1)), told(entry(kind, 1, number="x", issued="", who="A {b} %s"))):
        assert all(said.endswith(".") and "{who" not in said for said in sentences(one))
    assert WORDS.keys() == set(Moment)
    assert set(Moment) > LOUD


def test_a_line_for_people_has_the_room_and_the_reason() -> None:
    """In one line, whatever was typed; nothing where nothing is loud."""
    one = told(entry(Kind.FROZEN, 1, frozen="12345", why="as\nplanned\x07"))
    assert message(one, loud=True) == (
        "main: The draw is frozen: 12,345 take part, and nobody can join it any more. Why: as planned"
    )
    assert message(told(entry(Kind.ADMITTED, 1)), loud=True) == ""
