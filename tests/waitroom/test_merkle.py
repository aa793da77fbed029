"""The tree over the leaves: pinned shapes, proofs that hold, and forgeries that do not."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom import merkle

TREES = json.loads((Path(__file__).parent.parent / "vectors" / "draw-merkle.json").read_text())["trees"]


def sample_leaf(number: int) -> bytes:
    """Return the leaf that the vectors have at this number."""
    return bytes(16) if number % 7 == 5 else sha256(f"leaf/{number}/0".encode()).digest()[:16]


def sample_leaves(count: int) -> bytes:
    """Return the first leaves in one piece."""
    return b"".join(sample_leaf(number) for number in range(count))


@pytest.mark.parametrize("case", TREES, ids=lambda case: f"n={case['n']}")
def test_roots_and_proofs_are_those_of_the_second_implementation(case: dict[str, Any]) -> None:
    """Any length has exactly one shape (RFC 6962)."""
    leaves = sample_leaves(case["n"])

    assert merkle.root([leaves]).hex() == case["root"]
    for proof in case["proofs"]:
        assert [step.hex() for step in merkle.proof(leaves, proof["number"])] == proof["path"]


@given(count=st.integers(0, 300), size=st.integers(1, 50))
def test_the_root_does_not_depend_on_how_leaves_arrive(count: int, size: int) -> None:
    """Blocks of any size give the same root as one piece, and so does a tree fed slowly."""
    leaves = sample_leaves(count)
    blocks = [leaves[at : at + size * 16] for at in range(0, len(leaves), size * 16)]
    tree = merkle.Tree()
    for block in blocks:
        tree.add(block)

    assert merkle.root(blocks) == merkle.root([leaves]) == tree.root()
    assert tree.count == count


@given(count=st.integers(1, 200), data=st.data())
def test_a_proof_holds_for_its_own_leaf_and_number_only(count: int, data: st.DataObject) -> None:
    """Another leaf, another number, another count, a step more or less: no."""
    number = data.draw(st.integers(0, count - 1))
    leaves = sample_leaves(count)
    root, path, leaf = merkle.root([leaves]), merkle.proof(leaves, number), sample_leaf(number)

    assert merkle.verify(root, count, number, leaf, path)
    assert not merkle.verify(root, count, number, b"x" * 16, path)
    assert not merkle.verify(root, count, (number + 1) % count if count > 1 else 1, leaf, path)
    assert not merkle.verify(root, count, number, leaf, [*path, bytes(32)])
    assert not merkle.verify(root, count, number, leaf, path[:-1]) or not path
    assert not merkle.verify(bytes(32), count, number, leaf, path)


def test_an_inner_node_cannot_pose_as_a_leaf() -> None:
    """Leaves and nodes are hashed under different first bytes (second preimage)."""
    left, right = merkle.leaf_hash(0, sample_leaf(0)), merkle.leaf_hash(1, sample_leaf(1))

    assert merkle.node_hash(left, right) == sha256(b"\x01" + left + right).digest()
    assert merkle.root([sample_leaves(2)]) == merkle.node_hash(left, right)


def test_the_number_is_part_of_what_is_proved() -> None:
    """Mutant: without the number in the leaf hash, two equal leaves could swap their places."""
    twins = bytes(32)
    path = merkle.proof(twins, 0)

    assert merkle.leaf_hash(0, bytes(16)) != merkle.leaf_hash(1, bytes(16))
    assert not merkle.verify(merkle.root([twins]), 2, 1, bytes(16), path)


def test_broken_input_is_refused() -> None:
    """Half a leaf, a number outside, a leaf of the wrong size."""
    with pytest.raises(ValueError, match="whole leaves"):
        merkle.root([bytes(17)])
    with pytest.raises(ValueError, match="no leaf"):
        merkle.proof(bytes(17), 0)
    for outside in (-1, 3):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.proof(sample_leaves(3), outside)
        assert not merkle.verify(bytes(32), 3, outside, bytes(16), [])
    assert not merkle.verify(merkle.root([bytes(16)]), 1, 0, bytes(15), [])
