"""Plans: other people's seating plans, read whole or not at all, with every fault and its line."""

import csv
import io
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.halls.layout import Counted, Even, Kind, Placed, document, names, read
from checkout.halls.plans import MOST_OCTETS, read_csv
from kernel.errors import Refused

HEADER = "section,row,number,x,y,tier,accessible,companion_of,restricted_view,kind,count"
GOOD = f"""{HEADER}
Stalls,A,1,100,100,Gold,yes,,,,
Stalls,A,2,200,100,Gold,,1,,,
Stalls,A,3,300,100,Silver,,,1,,
Stalls,B,1,100,200,Silver,,,,,
Stalls,B,2a,220,210,Silver,no,,no,seats,
Floor,,,1000,1000,Floor,,,,standing,40
"""


def _faults(octets: bytes | str, **options: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        read_csv(octets.encode() if isinstance(octets, str) else octets, "Hall", **options)
    assert caught.value.code == "plan-invalid"
    assert caught.value.status == 422
    told = caught.value.extra["faults"]
    assert isinstance(told, list)
    return told


def test_a_csv_becomes_sections_rows_and_tiers() -> None:
    """Names, tiers and marks are those of the lines, in their order."""
    plan = read_csv(GOOD.encode(), "Hall")

    assert plan.layout.seats == 45
    assert [section.kind for section in plan.layout.sections] == [Kind.SEATS, Kind.STANDING]
    assert [names(plan.layout, seat) for seat in (0, 2, 4, 5)] == [
        ("Stalls", "A", "1"),
        ("Stalls", "A", "3"),
        ("Stalls", "B", "2a"),
        ("Floor", "", ""),
    ]
    assert plan.tier_names == ("Gold", "Silver", "Floor")
    assert plan.tiers == bytes([0, 0, 1, 1, 1]) + bytes([2]) * 40
    assert plan.layout.accessible == (0,)
    assert plan.layout.companions == ((0, 1),)
    assert plan.layout.restricted_view == (2,)
    assert read(document(plan.layout)) == plan.layout


def test_straight_rows_and_counted_numbers_are_recognised() -> None:
    """What follows a rule is written as the rule, anything else seat by seat."""
    first, second = read_csv(GOOD.encode(), "Hall").layout.sections[0].rows

    assert isinstance(first.spots, Even)
    assert first.numbers == Counted(1, 1)
    assert second.numbers == ("1", "2a")
    bent = read_csv(b"section,row,number,x,y,tier\nS,A,01,0,0,G\nS,A,02,100,0,G\nS,A,03,200,9,G\n", "Hall")
    assert isinstance(bent.layout.sections[0].rows[0].spots, Placed)
    assert bent.layout.sections[0].rows[0].numbers == ("01", "02", "03")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";"),
        "\n" + GOOD.replace("\nStalls,B,1", "\n\nStalls,B,1"),
        GOOD.replace("Stalls", '"Stalls"'),
        GOOD.replace("section,", " Section ,"),
        GOOD.rstrip(),
    ],
    ids=[
        "byte order mark",
        "crlf",
        "semicolon",
        "blank lines",
        "quoted",
        "header in capitals",
        "no last break",
    ],
)
def test_files_as_programs_save_them_are_the_same_plan(text: str) -> None:
    """What spreadsheets do to a file does not change the hall."""
    assert read_csv(text.encode(), "Hall") == read_csv(GOOD.encode(), "Hall")


def _line(number: int, text: str) -> str:
    lines = GOOD.splitlines()
    lines[number - 1] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: the file is empty"),
        (" \n\n", "line 1: the file is empty"),
        (HEADER, "the file has no seat"),
        (GOOD.replace(",tier", ""), "line 1: column tier is missing"),
        (GOOD.replace("number", "seat_no", 1), "line 1: column 'seat_no' is unknown"),
        (GOOD.replace("restricted_view", "row"), "line 1: column row is there more than once"),
        (_line(3, "Stalls,A,2"), "line 3: it has 3 cells, the header has 11"),
        (_line(3, ",A,2,200,100,Gold,,,,,"), "line 3: section is empty"),
        (_line(3, "Stalls,,2,200,100,Gold,,,,,"), "line 3: row is empty"),
        (_line(3, "Stalls,A,,200,100,Gold,,,,,"), "line 3: number is empty"),
        (_line(3, "Stalls,A,2,,100,Gold,,,,,"), "line 3: x is empty"),
        (_line(3, "Stalls,A,2,2.5,100,Gold,,,,,"), "line 3: x '2.5' is no whole number from 0 to 1000000"),
        (_line(3, "Stalls,A,2,-5,100,Gold,,,,,"), "line 3: x '-5' is no whole number from 0 to 1000000"),
        (_line(3, "Stalls,A,2,1e5,100,Gold,,,,,"), "line 3: x '1e5' is no whole number from 0 to 1000000"),
        (_line(3, "Stalls,A,2,٣,100,Gold,,,,,"), "line 3: x '٣' is no whole number from 0 to 1000000"),
        (_line(3, "Stalls,A,2,200,100,,,,,,"), "line 3: tier is empty"),
        (_line(3, "Stalls,A,2,200,100,Gold,maybe,,,,"), "line 3: accessible must be yes or no, not 'maybe'"),
        (_line(3, "Stalls,A,2,200,100,Gold,,9,,,"), "line 3: companion_of Stalls/A/9 is no accessible seat"),
        (
            _line(3, "Stalls,A,2,200,100,Gold,yes,1,,,"),
            "line 3: companion_of Stalls/A/1 cannot be beside an accessible seat itself",
        ),
        (_line(3, "Stalls,A,2,200,100,Gold,,,,sofa,"), "line 3: kind must be seats or standing, not 'sofa'"),
        (_line(3, "Stalls,A,2,200,100,Gold,,,,,4"), "line 3: count belongs to standing sections only"),
        (_line(3, "Stalls,A,1,200,100,Gold,,,,,"), "line 3: seat Stalls/A/1 is there already, in line 2"),
        (_line(3, "Stalls,A,2,100,100,Gold,,,,,"), "line 3: at 100,100 there is a seat already, in line 2"),
        (
            _line(3, "Stalls,C,1,200,500,Gold,,,,,"),
            "line 4: row A of Stalls began in line 2 and was left; keep its lines together",
        ),
        (_line(7, "Stalls,,,1,1,Floor,,,,standing,4"), "line 7: section Stalls is there already, in line 2"),
        (
            _line(6, "Floor,,,1,1,Floor,,,,standing,4")
            .replace("Floor,,,1000", "Floor,A,1,1000")
            .replace(",standing,40", ",,"),
            "line 7: Floor is a standing section, see line 6",
        ),
        (_line(7, "Floor,X,,1,1,Floor,,,,standing,4"), "line 7: a standing section has no row"),
        (_line(7, "Floor,,,1,1,Floor,,,,standing,0"), "line 7: count must be at least 1"),
        (_line(7, "Floor,,,1,1,Floor,,,,standing,"), "line 7: count is empty"),
        (_line(7, "Floor,,,1,1,Floor,,,,standing,99999"), "the file has 100004 seats, more than 100000"),
        (_line(3, 'Stalls,A,"2,200'), "line 3: unexpected end of data"),
        (GOOD.replace("Gold", "G\0ld", 1), "line 2: there is a zero octet; is it a text?"),
        (_line(3, f"{'s' * 121},A,2,200,100,Gold,,,,,"), "line 3: section is longer than 120 characters"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, fault: str) -> None:
    """Each rule of the file, broken once."""
    assert fault in _faults(text)


def test_a_tier_that_is_not_in_the_list_is_a_fault() -> None:
    """With the tiers given, a misspelt one is told with those that exist."""
    told = _faults(GOOD.replace("Silver", "Sliver", 1), tiers=["Gold", "Silver", "Floor"])

    assert told == ["line 4: tier 'Sliver' is unknown; there are Gold, Silver, Floor"]


def test_given_tiers_keep_their_numbers() -> None:
    """The order of the list counts, not that of the file."""
    plan = read_csv(GOOD.encode(), "Hall", tiers=["Floor", "Silver", "Gold", "Unused"])

    assert plan.tiers[:1] + plan.tiers[-1:] == bytes([2, 0])
    assert plan.tier_names == ("Floor", "Silver", "Gold", "Unused")


def test_a_wrong_encoding_is_told_with_its_line() -> None:
    """A file saved as Latin-1 is refused, not read as something else."""
    octets = GOOD.replace("Stalls,B,1", "Galérie,B,1").encode("latin-1")

    assert _faults(octets) == ["line 5: octet 0xe9 is not UTF-8; save the file as UTF-8"]


def test_more_tiers_than_a_seat_can_name_are_refused() -> None:
    """A tier has four bits."""
    lines = [f"S,A,{number},{number * 100},0,T{number}" for number in range(17)]

    assert _faults("section,row,number,x,y,tier\n" + "\n".join(lines)) == [
        "line 18: tier 'T16' is one more than 16, or its name is too long"
    ]


def test_a_hundred_faults_are_told_and_the_rest_counted() -> None:
    """Whoever sends a broken file of 60,000 lines gets an answer of a readable length."""
    lines = [f"S,A,{number},x,0,T" for number in range(4711)]

    told = _faults("section,row,number,x,y,tier\n" + "\n".join(lines))

    assert len(told) == 101
    assert told[0] == "line 2: x 'x' is no whole number from 0 to 1000000"
    assert told[-1] == "and 4611 more"


def test_lines_are_counted_through_quoted_breaks() -> None:
    """The line told is the one that an editor shows."""
    text = 'section,row,number,x,y,tier\n"S\ntwo",A,1,0,0,T\nS,A,1,bad,0,T\n'

    assert _faults(text) == ["line 4: x 'bad' is no whole number from 0 to 1000000"]


def big_csv(seats: int, per_row: int = 50) -> bytes:
    """Write a hall as a file."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(HEADER.split(","))
    for seat in range(seats):
        row, number = divmod(seat, per_row)
        block, row = divmod(row, 40)
        writer.writerow(
            [
                f"Block {block}",
                row + 1,
                number + 1,
                number * 100,
                row * 100 + block * 5000,
                f"T{block % 4}",
                "",
                "",
                "",
                "",
                "",
            ]
        )
    return made.getvalue().encode()


def test_sixty_thousand_seats_are_read_in_time() -> None:
    """A full stadium takes below 5 seconds of work; what else the machine does is not counted."""
    octets = big_csv(60_000)
    before_s = time.process_time()

    plan = read_csv(octets, "Stadium")

    assert time.process_time() - before_s < 5
    assert plan.layout.seats == 60_000
    assert len(plan.layout.sections) == 30


@given(st.text(alphabet='abS1,;"\n\r\0é ', max_size=60), st.integers(0, len(GOOD)))
def test_no_file_makes_the_reader_stumble(rubbish: str, at: int) -> None:
    """Anything is either read or refused."""
    try:
        plan = read_csv((GOOD[:at] + rubbish + GOOD[at:]).encode(), "Hall")
    except Refused:
        return
    assert len(plan.tiers) == plan.layout.seats


def test_a_file_that_is_far_too_long_is_not_even_read() -> None:
    """Whoever sends 40 megabytes gets an answer at once."""
    assert _faults(b"x" * (MOST_OCTETS + 1)) == [
        f"the file has {MOST_OCTETS + 1} octets, more than {MOST_OCTETS}"
    ]


def test_a_row_of_one_seat_and_a_section_of_one_line_have_an_outline() -> None:
    """The smallest halls can be drawn, too."""
    one = read_csv(b"section,row,number,x,y,tier\nBox,A,1,0,0,T\n", "Hall").layout
    line = read_csv(
        b"section,row,number,x,y,tier\nBox,A,1,0,0,T\nBox,A,2,0,100,T\nBox,A,3,0,200,T\n", "Hall"
    ).layout

    assert len(one.sections[0].outline) == len(line.sections[0].outline) == 4


def test_numbers_that_begin_with_nought_stay_as_they_are_written() -> None:
    """Very long ones are texts as well."""
    plan = read_csv(b"section,row,number,x,y,tier\nS,A,100000,0,0,T\nS,A,100001,100,0,T\n", "Hall")

    assert plan.layout.sections[0].rows[0].numbers == ("100000", "100001")
