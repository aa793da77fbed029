"""The report: the same facts as words, JSON and a page; and the progress on the way."""

import io
import json
import re
from html.parser import HTMLParser

import pytest

from gateway.crowd.crowd import Pulse, Result
from gateway.crowd.figures import figures, spread
from gateway.crowd.plan import Plan
from gateway.crowd.plots import binned, thinned, ticks
from gateway.crowd.progress import Progress, bar
from gateway.crowd.report import as_dict, columns, duration, table
from gateway.crowd.report_page import page
from tests.gateway.crowd.naive_room import Fault
from tests.gateway.crowd.test_mutants import PLAN, crowd_before


@pytest.fixture(scope="module")
def green() -> Result:
    """A crowd that went well, with a loss in the middle."""
    return crowd_before(PLAN, loses_at_s=8.0)


@pytest.fixture(scope="module")
def red() -> Result:
    """A crowd that was overtaken."""
    return crowd_before(PLAN, fault=Fault.OVERTAKE)


def test_the_figures_add_up(green: Result) -> None:
    """Every fan has an outcome, every request a route, every admission a second."""
    shown = figures(green.observed)

    assert sum(sum(counts.values()) for counts in shown.outcomes.values()) == PLAN.fans
    assert sum(shown.arrivals_per_s) == PLAN.fans
    assert sum(pace.total for pace in shown.paces.values()) == shown.requests
    assert sum(shown.admissions_per_s) == len({admission.sid for admission in green.observed.admissions})
    assert shown.waits_s.count == sum(spread.count for spread in shown.waits_by_script.values())


def test_percentiles_are_values_that_occurred() -> None:
    """Nearest rank: no value is made up."""
    found = spread([4.0, 1.0, 3.0, 2.0])

    assert (found.p50, found.p90, found.p99, found.most) == (2.0, 4.0, 4.0, 4.0)
    assert spread([]).count == 0
    assert spread(range(1, 101)).p99 == 99


def test_the_table_says_what_was_found(green: Result, red: Result) -> None:
    """Each promise with its mark, the reds with examples; colours only on a terminal."""
    told = table(green, colour=False)

    assert "All 13 checks are green. 1 could not be judged." in told
    assert "\x1b" not in told
    assert "\x1b[31m✘" in table(red, colour=True)
    assert "nobody-overtaken: red" in table(red, colour=False)
    assert re.search(r"fan \d+ asked at", table(red, colour=False))


def test_the_json_has_everything_and_no_secret(green: Result) -> None:
    """It can be read back, and the operator's token is not in it."""
    told = json.loads(json.dumps(as_dict(green), allow_nan=False))

    assert told["green"] is True
    assert told["matched"] == told["fans"] == PLAN.fans
    assert told["places_lost"] == 0
    assert told["outages"][0]["name"] == "flush"
    assert "operator_token" not in told["plan"]


class Reader(HTMLParser):
    """Collects what a page would load, and checks that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what is opened."""
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.pictures += tag == "svg"
        if tag not in {"meta", "rect", "line", "circle", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take note of what is closed."""
        if tag not in {"rect", "line", "circle", "path"}:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_else(green: Result, red: Result) -> None:
    """One file: no script, nothing loaded, every plot has words, every tag is closed."""
    for result in (green, red):
        text = page(result)
        reader = Reader()
        reader.feed(text)

        assert reader.loads == []
        assert reader.open == []
        assert reader.pictures == 6
        assert text.count('role="img" aria-label=') == 6 + len(result.verdicts)
        assert "<script" not in text
        assert "url(" not in text


def test_words_of_a_stranger_do_no_harm_on_the_page(red: Result) -> None:
    """A room's answers are text, whatever they are."""
    plan = Plan(shape="trace:<script>alert(1)</script>")

    assert "<script>" not in page(Result(plan, red.observed, red.verdicts))


def test_a_long_crowd_is_binned_so_that_it_can_be_read() -> None:
    """At most so many bars, each the mean of its seconds; a line keeps its highest point."""
    means, width = binned([1] * 1000)
    points = [(float(index), 0.0) for index in range(5000)]
    points[1234] = (1234.0, 9.0)

    assert (len(means), width, set(means)) == (200, 5, {1.0})
    assert (1234.0, 9.0) in thinned(points)
    assert len(thinned(points)) < 900


def test_axes_have_round_numbers() -> None:
    """1, 2, 2.5 or 5 times a power of ten."""
    assert ticks(10, 3) == [0, 5, 10]
    assert ticks(1130, 3) == [0, 500, 1000]
    assert ticks(0, 3) == [0]


def test_times_and_columns_are_for_people() -> None:
    """Seconds below 100, minutes above; numbers stand under each other."""
    assert (duration(3.21), duration(250.4)) == ("3.2\xa0s", "4\xa0min\xa010\xa0s")
    assert columns([["a", "bb"], ["ccc", "1"]]) == "a    bb\nccc   1"


PULSES = [Pulse(float(at_s), at_s, at_s // 2, at_s // 3, at_s // 4, at_s * 100) for at_s in range(1, 25)]


def test_a_log_gets_a_line_each_ten_seconds() -> None:
    """No control characters, the rate of requests from one pulse to the next."""
    stream = io.StringIO()
    progress = Progress(stream, 40, is_terminal=False)
    for pulse in PULSES:
        progress(pulse)
    progress.done()

    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1] == "    11 s  11 of 40 came · 5 in line · 3 admitted · 2 done · 100 req/s"


def test_a_terminal_gets_a_bar_that_is_cleared_in_the_end() -> None:
    """It is drawn over itself."""
    stream = io.StringIO()
    progress = Progress(stream, 40, is_terminal=True)
    for pulse in PULSES:
        progress(pulse)
    progress.done()

    assert stream.getvalue().count("\r\x1b[K▕") == len(PULSES)
    assert stream.getvalue().endswith("\r\x1b[K")
    assert "\n" not in stream.getvalue()


@pytest.mark.parametrize(("share", "cells"), [(0.0, 0), (0.5, 14), (1.0, 28), (1.7, 28)])
def test_the_bar_has_always_the_same_length(share: float, cells: int) -> None:
    """Whatever the share."""
    assert bar(share).count("█") == cells
    assert bar(share).index("▏") == 29
