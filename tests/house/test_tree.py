"""The house's rules that a tool does not already check."""

import ast
import hashlib
import re
import tomllib
from pathlib import Path

from tests.house.tree import PACKAGES, ROOT, modules, texts

LONGEST_FILE_LINES = 450
LONGEST_TEST_LINES = 600
MACHINE_PATH = re.compile(r"(?<![\w.}~-])/(?:work|root|home|Users)/[\w.-]+/")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b|pytest\.(?:mark\.)?(?:ski[p]|xfai[l])")


def faults_of_modules(found: list[tuple[Path, str]]) -> list[str]:
    """Return what is wrong with modules: no head, or too long."""
    faults = []
    for path, text in found:
        if not text.strip():
            continue
        head = ast.get_docstring(ast.parse(text))
        if head is None or not head.splitlines()[0].rstrip().endswith((".", ":", "?")):
            faults.append(f"{path}: begins without a sentence that says what it is")
        most = LONGEST_TEST_LINES if path.parts[0] == "tests" else LONGEST_FILE_LINES
        if (lines := text.count("\n")) > most:
            faults.append(f"{path}: has {lines} lines, more than {most}")
    return faults


OTHERS = (Path("checkout/site/static/scan/qr"), Path("dashboards/static/uplot"))
"""Somebody else's files, unchanged, with their licence beside them."""


def faults_of_texts(found: list[tuple[Path, str]]) -> list[str]:
    """Return what must not stand in any file: paths of one machine, unfinished work, switched-off tests."""
    faults = []
    for path, text in found:
        if set(OTHERS) & set(path.parents):
            continue
        for number, row in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(row):
                faults.append(f"{path}:{number}: a path of one machine")
            if path.suffix in {".py", ".lua", ".js"} and UNFINISHED.search(row):
                faults.append(f"{path}:{number}: unfinished or switched off")
    return faults


def faults_of_loops(found: list[tuple[Path, str]]) -> list[str]:
    """Return loops for ever that sleep and do not ask whether they are to end: a cancellation may get lost."""
    faults = []
    for path, text in found:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.While) and ast.unparse(node.test) == "True":
                awaited = [ast.unparse(one.value) for one in ast.walk(node) if isinstance(one, ast.Await)]
                leaves = any(isinstance(one, ast.Return | ast.Break) for one in ast.walk(node))
                if not leaves and any(call.startswith("asyncio.sleep(") for call in awaited):
                    faults.append(
                        f"{path}:{node.lineno}: goes on for ever; kernel.tasks.is_ending tells when not to"
                    )
    return faults


def test_every_module_says_what_it_is_and_can_be_read_in_one_go() -> None:
    """A module begins with a sentence and has at most 450 lines, a test's module 600."""
    assert faults_of_modules(modules(tests=True)) == []


def test_a_module_without_a_head_or_too_long_is_found() -> None:
    """The mutant: the check above fails on a module without head, and on a long one."""
    long = '"""Long: too long."""\n' + "x = 1\n" * LONGEST_FILE_LINES

    faults = faults_of_modules([(Path("a.py"), "x = 1\n"), (Path("b.py"), long)])

    assert len(faults) == 2


def test_no_file_names_a_machine_or_leaves_work_open() -> None:
    """No path of somebody's machine, no open ends, no test that is switched off."""
    assert faults_of_texts(texts()) == []


def test_a_machine_path_and_an_open_end_are_found() -> None:
    """The mutant: the check above fails on such lines, and leaves addresses of the product alone."""
    bad = [
        (Path("a.py"), "x = '/ho" + "me/ann/waitroom'"),
        (Path("b.py"), "# TO" + "DO later"),
        (Path("c.py"), "@pytest.mark.sk" + "ip"),
    ]

    assert len(faults_of_texts(bad)) == 3
    assert faults_of_texts([(Path("d.py"), "'/.waitroom/r/main/join'")]) == []


def test_the_license_is_the_whole_apache_license() -> None:
    """LICENSE is the Apache License 2.0, word for word, and pyproject.toml says the same."""
    text = (ROOT / "LICENSE").read_text()
    words = " ".join(text.split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert words.startswith(
        "Apache License Version 2.0, January 2004 http://www.apache.org/licenses/ TERMS AND"
    )
    assert words.endswith(
        "See the License for the specific language governing permissions and limitations under the License."
    )
    assert hashlib.sha256(words.encode()).hexdigest() == APACHE_WORDS_SHA256
    assert project["license"] == "Apache-2.0"


APACHE_WORDS_SHA256 = "0ffddef9e48f8a09aed5caf2d44f7ba1c1be2d9b8e0a6f693b1635b2d5566645"


def test_every_package_is_shipped_and_nothing_else() -> None:
    """What setuptools packs are the seven packages, each with an __init__.py; no tests, no benchmarks."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]

    assert found["include"] == [f"{name}*" for name in PACKAGES]
    assert [name for name in PACKAGES if not (ROOT / name / "__init__.py").is_file()] == []


def test_the_base_install_is_what_a_backend_needs() -> None:
    """A protected site installs PyJWT and cryptography, nothing more; the server is an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert [re.split(r"[<>=\[]", row)[0] for row in project["dependencies"]] == ["PyJWT", "cryptography"]
    assert {"bots", "geoip", "otel", "server", "postgres", "test"} == set(project["optional-dependencies"])


def test_what_goes_on_for_ever_ends_when_it_is_asked_to() -> None:
    """Python 3.11 may lose a cancellation below the store's client; a loop that is not asked again never ends."""
    assert faults_of_loops(modules()) == []


def test_a_loop_that_never_asks_is_found() -> None:
    """The mutant: one loop for ever, one that leaves by itself, one that asks."""
    rows = (
        "async def a():\n    while True:\n        await asyncio.sleep(1)\n",
        "async def b():\n    while True:\n        await asyncio.sleep(1)\n        if x:\n            return\n",
        "async def c():\n    while not is_ending():\n        await asyncio.sleep(1)\n",
    )

    assert [len(faults_of_loops([(Path("a.py"), row)])) for row in rows] == [1, 0, 0]
