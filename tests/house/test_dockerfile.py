"""The image: small rules that keep it boring, checked without Docker."""

import re
import tomllib

from tests.house.tree import PACKAGES, ROOT


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    rows = [row for row in joined.splitlines() if row.strip() and not row.startswith("#")]
    return [(row.split(maxsplit=1)[0].upper(), row.split(maxsplit=1)[1]) for row in rows]


def faults(text: str) -> list[str]:
    """Return what breaks the rules: stages, pinned bases, user, health check, nothing fetched by ADD."""
    steps = instructions(text)
    names = [name for name, _ in steps]
    last = len(names) - 1 - names[::-1].index("FROM")
    final = steps[last:]
    found = []
    if names.count("FROM") < 2:
        found.append("one stage: the build's tools would be shipped")
    for name, value in steps:
        if name == "FROM" and not re.match(r"\S+:\d+\.\d+(\.\d+)?-\S+( AS \w+)?$", value):
            found.append(f"base not pinned: {value}")
        if name == "ADD":
            found.append("ADD instead of COPY")
        if name == "RUN" and re.search(r"\bsudo\b|curl .*\| *(ba)?sh|chmod +777", value):
            found.append(f"careless: {value}")
        if name in {"ENV", "ARG"} and re.search(r"SECRET|TOKEN|PASSWORD", value):
            found.append(f"a secret in the image: {value.split('=')[0]}")
    users = [value for name, value in final if name == "USER"]
    if not users or users[-1].split(":")[0] in {"root", "0"}:
        found.append("runs as root")
    if not any(
        name == "HEALTHCHECK" and value.endswith('CMD ["waitroom", "health"]') for name, value in final
    ):
        found.append("no health check that asks whether it is ready, as its settings say")
    for name, value in final:
        if name in {"ENTRYPOINT", "CMD"} and not value.startswith("["):
            found.append(f"{name} goes through a shell, so that SIGTERM would not arrive")
    return found


def test_the_image_keeps_the_rules() -> None:
    """Several stages, pinned bases, no root, a health check, SIGTERM arrives, no secrets."""
    assert faults((ROOT / "Dockerfile").read_text()) == []


def test_a_careless_image_is_found() -> None:
    """The mutant: a one-stage, unpinned image that runs as root breaks every rule."""
    careless = "FROM python:latest\nADD . /app\nENV OPERATOR_TOKEN=x\nCMD python -m gateway\n"

    assert len(faults(careless)) == 7


LEFT_OUT = {
    "test": "nobody tests in an image",
    "bots": "large, and only for whoever trains or runs a model of their own",
    "geoip": "whoever has such a file builds an image with it",
}
"""Extras that are not in the image, and why."""


def test_each_extra_is_in_the_image_or_left_out_for_a_reason() -> None:
    """Who sets a collector or PostgreSQL in an image finds what it takes; an extra that is new must be thought of."""
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    installed = re.findall(r'"\.\[([a-z,]+)\]"', (ROOT / "Dockerfile").read_text())

    assert [set(one.split(",")) for one in installed] == [extras - LEFT_OUT.keys()]


def test_the_makefile_checks_the_image_by_these_rules() -> None:
    """`make docker-lint` is this file."""
    assert "pytest -q tests/house/test_dockerfile.py" in (ROOT / "Makefile").read_text()


def test_the_image_holds_what_pyproject_packs() -> None:
    """Each package is copied into the build and let through by .dockerignore; the Python is new enough."""
    steps = instructions((ROOT / "Dockerfile").read_text())
    copied = {word for name, value in steps if name == "COPY" for word in value.split()[:-1]}
    let_in = {row[1:] for row in (ROOT / ".dockerignore").read_text().splitlines() if row.startswith("!")}
    needed = {"pyproject.toml", "README.md", "LICENSE", *PACKAGES}
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    base = re.search(r"FROM python:(\d+)\.(\d+)", (ROOT / "Dockerfile").read_text())

    assert needed <= copied
    assert needed == let_in
    assert base is not None
    assert (int(base[1]), int(base[2])) >= tuple(int(part) for part in least.removeprefix(">=").split("."))
