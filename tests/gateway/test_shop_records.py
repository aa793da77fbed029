"""``waitroom shop check --records``: what a crowd was told is read, or refused with a sentence."""

from pathlib import Path

import pytest

from checkout.audit.records import Act, Answer, Operation, write
from gateway.shop_command import records_of
from kernel.errors import Misconfigured

HELD = Operation(Act.HOLD, "a-hold", "ann", (7, 8), 1, 2, Answer.DONE, 120_000)


def test_records_are_read_for_the_event_that_is_named(tmp_path: Path) -> None:
    """A file of one event; without a file there are none."""
    path = tmp_path / "sale.jsonl"
    path.write_bytes(write(HELD))

    assert records_of(path, ["night"]) == [HELD]
    assert records_of(None, []) == []


@pytest.mark.parametrize("events", [[], ["night", "matinee"]])
def test_a_file_is_of_one_event(events: list[str], tmp_path: Path) -> None:
    """Records do not say of which, so the caller has to."""
    with pytest.raises(Misconfigured) as caught:
        records_of(tmp_path / "sale.jsonl", events)

    assert list(caught.value.faults) == ["--records: name the one event that the file is of."]


@pytest.mark.parametrize(
    ("octets", "sentence"), [(None, "cannot be read: No such file"), (b"{}\n", "line 1 is no record")]
)
def test_a_file_that_is_none_is_told(octets: bytes | None, sentence: str, tmp_path: Path) -> None:
    """Missing, or something else."""
    path = tmp_path / "sale.jsonl"
    if octets is not None:
        path.write_bytes(octets)

    with pytest.raises(Misconfigured) as caught:
        records_of(path, ["night"])

    assert sentence in caught.value.faults[0]
