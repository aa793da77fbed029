"""The program in docs/draw.md: what we tell fans to run gives the same draw."""

import json
import re
from pathlib import Path
from typing import Any

from tests.house.tree import ROOT
from waitroom import draw, merkle

VECTORS = Path(__file__).parent.parent / "vectors"


def documented() -> dict[str, Any]:
    """Run the program that stands in the document and return what it defines."""
    text = (ROOT / "docs" / "draw.md").read_text()
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert program is not None
    names: dict[str, Any] = {}
    exec(program.group(1), names)  # noqa: S102 - our own document
    return names


def test_the_documented_program_gives_the_drawn_ranks() -> None:
    """All permutations and seeds of the vectors, by the program that a fan copies."""
    program = documented()
    vectors = json.loads((VECTORS / "draw.json").read_text())

    for case in vectors["permutations"]:
        seed = bytes.fromhex(case["seed"])
        assert [program["rank_of"](number, case["n"], seed) for number in range(case["n"])] == case["ranks"]
    for case in vectors["spots"]:
        for number, rank in case["ranks"]:
            assert program["rank_of"](number, case["n"], bytes.fromhex(case["seed"])) == rank


def test_the_documented_program_checks_a_whole_draw() -> None:
    """Commitment, root, seed: as the room publishes them, as the program finds them."""
    program = documented()
    name, secret = draw.draw_id("main", "0123456789abcdef"), bytes(range(32))
    leaves = [draw.leaf(name, number.to_bytes(16, "big")) for number in range(77)]
    root = merkle.root([b"".join(leaves)])

    assert program["commitment_of"](name, secret) == draw.commitment(name, secret)
    assert program["root_of"](leaves) == root
    assert program["root_of"]([]) == merkle.root([])
    assert program["seed_of"](name, 77, root, secret) == draw.seed(name, 77, root, secret=secret)
