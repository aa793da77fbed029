"""The documents: what they tell people to click, to type or to set must be there."""

import argparse
import re
from pathlib import Path

from gateway.cli import build_parser
from tests.house.test_deploy import unknown_settings
from tests.house.tree import ROOT, texts

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
COMMAND = re.compile(r"(?:^|[`$] ?|\s)waitroom ((?:check |keys )?[a-z]+(?:-[a-z]+)*)\b(?! is\b)")


def documents() -> list[Path]:
    """Return every Markdown file of the repository's root and of docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def broken_links(path: Path, text: str) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    targets = [one or other for one, other in LINK.findall(text)]
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    return [target for target in local if target and not (path.parent / target).exists()]


def commands() -> set[str]:
    """Return the commands of `waitroom`, with those below `check` and `keys`."""
    found: set[str] = set()
    for name, parser in _subcommands(build_parser()).items():
        found |= {name} | {f"{name} {below}" for below in _subcommands(parser)}
    return found


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(groups[0].choices) if groups else {}


def unknown_commands(text: str) -> set[str]:
    """Return the `waitroom …` commands in code that do not exist."""
    code = re.findall(r"```[\s\S]*?```|`[^`\n]+`|^ {4}.+$", text, re.MULTILINE)
    return {word for piece in code for word in COMMAND.findall(piece)} - commands()


def test_every_link_between_files_leads_somewhere() -> None:
    """Relative links and pictures in README, docs and the rest exist."""
    wrong = {str(path.relative_to(ROOT)): broken_links(path, path.read_text()) for path in documents()}

    assert {name: links for name, links in wrong.items() if links} == {}


def test_every_command_in_the_documents_exists() -> None:
    """Whoever copies a `waitroom …` command from a document gets no "invalid choice"."""
    wrong = {str(path.relative_to(ROOT)): unknown_commands(path.read_text()) for path in documents()}

    assert {name: words for name, words in wrong.items() if words} == {}


def test_every_setting_in_the_documents_exists() -> None:
    """Each WAITROOM_… name in the documents is a setting."""
    wrong = {str(path.relative_to(ROOT)): unknown_settings(path.read_text()) for path in documents()}

    assert {name: words for name, words in wrong.items() if words} == {}


EARLIER = {"CHANGELOG.md"}
ONE_NAME = {"control " + "page": "console"}
"""Other names of what the glossary has a name for."""


def other_names(text: str) -> set[str]:
    """Return the other names in a text."""
    return {name for name in ONE_NAME if name in " ".join(text.lower().split())}


def test_one_thing_has_one_name() -> None:
    """In documents, settings, pages and code; what was said of earlier releases stays."""
    said = {str(path): other_names(text) for path, text in texts() if path.name not in EARLIER}

    assert {path: names for path, names in said.items() if names} == {}
    assert other_names("See the control\npage.")


def test_a_dead_link_and_a_made_up_command_are_found() -> None:
    """The mutant: both are caught, what exists is not."""
    assert broken_links(
        ROOT / "README.md", "[a](LICENSE) [b](docs/nowhere.md#x) [c](https://example.com)"
    ) == ["docs/nowhere.md"]
    assert unknown_commands("`waitroom serve`, `waitroom check rooms` and `waitroom dance`") == {"dance"}
