"""The pages that list what the code has, compared with the code."""

import ast
from dataclasses import dataclass

import pytest

from gateway.settings import Settings
from kernel.settings import setting
from tests.house import reference
from tests.house.codes import WORDS
from tests.house.fields import ROOM, SALE
from tests.house.tree import ROOT
from waitroom import field_readers as reads
from waitroom.room_fields import OVERRIDES, ROOM_FIELDS, SALE_FIELDS


def differing() -> list[str]:
    """Return the pages that are not what `make docs` would write now."""
    return [name for name in reference.PAGES if (ROOT / name).read_text("utf-8") != reference.text_of(name)]


def test_the_pages_say_what_the_code_says() -> None:
    """Settings, rooms, metrics and errors: after a change in the code, `make docs`."""
    assert differing() == []


def test_every_code_has_words_and_every_word_its_code() -> None:
    """A failure that nobody explains is as bad as an explanation of what no longer happens."""
    assert reference.raised().keys() ^ WORDS.keys() == set()
    assert [code for code, statuses in reference.raised().items() if not statuses] == []


def test_every_field_and_every_label_has_words() -> None:
    """A setting of a room, of a sale and a label are each explained, and nothing else is."""
    assert reference.spread(ROOM_FIELDS).keys() ^ ROOM.keys() == set()
    assert (SALE_FIELDS.keys() - OVERRIDES.keys()) ^ SALE.keys() == set()
    used = {label for one in reference.collectors() for label in one._labelnames}
    assert used ^ reference.LABELS.keys() == set()


def test_every_metric_stands_in_a_module_that_is_listed() -> None:
    """Metrics are made in `metrics.py` and nowhere else, so none escapes the page."""
    makers = {"Counter", "Gauge", "Histogram", "Summary"}
    found = {
        str(path).removesuffix(".py").replace("/", ".")
        for path, text in reference.modules()
        if path.parts[0] in reference.PACKAGES
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
        and makers & {name.name for name in node.names}
    }  # fmt: skip

    assert found == set(reference.METRIC_MODULES)


def test_a_setting_that_is_not_on_the_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: one setting more, and the page differs."""

    @dataclass(frozen=True, slots=True)
    class More(Settings):
        turbo_s: int = setting(default=1, help="goes faster")

    monkeypatch.setattr(reference, "Settings", More)

    assert differing() == ["docs/settings.md"]
    assert "| `WAITROOM_TURBO_S` | `turbo_s` | whole number | seconds | `1` | goes faster |" in (
        reference.settings_page()
    )


def test_another_limit_of_a_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: a limit that moved makes the page differ."""
    monkeypatch.setitem(ROOM_FIELDS, "claim_window_s", reads.whole(1, 3600))

    assert differing() == ["docs/rooms.md"]


def test_a_code_that_nobody_explains_and_one_that_cannot_be_read_are_found() -> None:
    """The mutants: a new code, one chosen among two, and one that is put together."""
    text = 'raise Refused("a-new-code", "x", 418)\nUnavailable("b" if x else "c", "y")\n_failed(1, 2, 504, "d", "z")'

    found = [(one.code, one.status) for one in reference.raised_in("a.py", text)]

    assert found == [("a-new-code", 418), ("b", 503), ("c", 503), ("d", 504)]
    with pytest.raises(ValueError, match=r"a\.py:1: the code must be a plain text"):
        list(reference.raised_in("a.py", 'Refused(f"{x}-gone", "x")'))
