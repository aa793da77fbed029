"""Settings: every fault at once, no secret shown, no misspelt name silently ignored."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Misconfigured
from kernel.settings import Row, describe, read, read_all, setting


@dataclass(frozen=True, slots=True)
class Door:
    """Settings of an example."""

    origin: str = setting(help="address of the protected site")
    port: int = setting(default=8080, help="port to listen on", minimum=1, maximum=65535)
    rate_per_s: float = setting(default=2.5, help="admissions in a second", minimum=0)
    open: bool = setting(default=False, help="let everybody pass")
    data_folder: Path = setting(default=Path("data"), help="where the store keeps its files")  # noqa: RUF009
    hosts: tuple[str, ...] = setting(default=("a", "b"), help="names of the site")
    method: str = setting(default="fifo", help="order", choices=("fifo", "random"))
    lanes: tuple[str, ...] = setting(default=(), help="lanes", choices=("verified", "standard"))
    banner: str | None = setting(default=None, help="message to everybody")
    limit: int | None = setting(default=None, help="most who wait", minimum=1)
    key: str | None = setting(default=None, help="signing key", secret=True, choices=("hunter2", "ä"))


ORIGIN = {"WAITROOM_ORIGIN": "http://shop"}


def faults(environ: dict[str, str], table: dict[str, object] | None = None) -> list[str]:
    """Read what must not be read and return what is wrong with it."""
    with pytest.raises(Misconfigured) as refusal:
        read(Door, environ, table or {})
    return list(refusal.value.faults)


def test_the_defaults_count_where_nothing_is_said() -> None:
    """Only what has no default must be given; other programs' variables are not ours."""
    door = read(Door, {"PATH": "/bin", **ORIGIN})

    assert door == Door(origin="http://shop")


def test_the_environment_beats_the_table_and_the_table_the_default() -> None:
    """So that one file serves everywhere and one variable overrules it."""
    door = read(Door, {"WAITROOM_PORT": "81", **ORIGIN}, {"port": 80, "rate_per_s": 7})

    assert (door.port, door.rate_per_s, door.method) == (81, 7.0, "fifo")


def test_every_type_is_read_from_text() -> None:
    """Numbers, flags, paths, comma-separated lists; empty is None where None is allowed."""
    door = read(
        Door,
        {
            "WAITROOM_PORT": " 443 ",
            "WAITROOM_RATE_PER_S": "1e3",
            "WAITROOM_OPEN": "On",
            "WAITROOM_DATA_FOLDER": "/var/lib/waitroom",
            "WAITROOM_HOSTS": " a.example ,, b.example,",
            "WAITROOM_METHOD": "random",
            "WAITROOM_LANES": "standard,verified",
            "WAITROOM_BANNER": "",
            "WAITROOM_LIMIT": "",
            "WAITROOM_ORIGIN": "",
        },
        {"banner": "hello", "limit": 5},
    )

    assert door == Door(
        origin="",
        port=443,
        rate_per_s=1000.0,
        open=True,
        data_folder=Path("/var/lib/waitroom"),
        hosts=("a.example", "b.example"),
        method="random",
        lanes=("standard", "verified"),
        banner=None,
        limit=None,
    )


def test_every_type_is_read_from_toml() -> None:
    """There a number is a number; a whole one may stand where a fraction may."""
    table = tomllib.loads(
        'origin = "http://shop"\nport = 443\nrate_per_s = 3\nopen = true\ndata_folder = "d"\nhosts = ["x"]\n'
        'banner = "hi"\nlimit = 7\n'
    )

    assert read(Door, {}, table) == Door(
        origin="http://shop",
        port=443,
        rate_per_s=3.0,
        open=True,
        data_folder=Path("d"),
        hosts=("x",),
        banner="hi",
        limit=7,
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("PORT", "http", "must be a whole number, not 'http'."),
        ("PORT", "", "must be a whole number, not ''."),
        ("PORT", "80.0", "must be a whole number, not '80.0'."),
        ("PORT", "0", "must be at least 1, not 0."),
        ("PORT", "65536", "must be at most 65535, not 65536."),
        ("PORT", "9" * 5000, "must be a whole number"),
        ("RATE_PER_S", "fast", "must be a number, not 'fast'."),
        ("RATE_PER_S", "nan", "must be a finite number, not nan."),
        ("RATE_PER_S", "-inf", "must be a finite number, not -inf."),
        ("RATE_PER_S", "-0.1", "must be at least 0, not -0.1."),
        ("OPEN", "perhaps", "must be true or false, not 'perhaps'."),
        ("OPEN", "", "must be true or false, not ''."),
        ("DATA_FOLDER", "", "must be a path, not ''."),
        ("METHOD", "lifo", "must be one of fifo, random, not 'lifo'."),
        ("METHOD", "", "must be one of fifo, random, not ''."),
        ("LANES", "standard,suspect", "must be one of verified, standard, not 'suspect'."),
        ("LIMIT", "0", "must be at least 1, not 0."),
        ("KEY", "letmein", "must be one of hunter2, ä."),
    ],
)
def test_a_bad_text_is_told_with_its_name(name: str, text: str, told: str) -> None:
    """One sentence: which setting, what it must be, what it is (unless it is a secret)."""
    [fault] = faults({f"WAITROOM_{name}": text, **ORIGIN})

    assert fault.startswith(f"WAITROOM_{name}: {told.removesuffix('.')}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("port", "443", "must be a whole number, not '443'."),
        ("port", 443.0, "must be a whole number, not 443.0."),
        ("port", True, "must be a whole number, not True."),
        ("rate_per_s", True, "must be a number, not True."),
        ("rate_per_s", float("nan"), "must be a finite number, not nan."),
        ("open", 1, "must be true or false, not 1."),
        ("open", "true", "must be true or false, not 'true'."),
        ("data_folder", "", "must be a path, not ''."),
        ("data_folder", "a\0b", "must be a path, not 'a\\x00b'."),
        ("data_folder", 1, "must be a path, not 1."),
        ("hosts", "a,b", "must be a list of texts."),
        ("hosts", ["a", 1], "must be a list of texts."),
        ("banner", {"text": "x"}, "must be a text, not {'text': 'x'}."),
        ("key", 5, "must be a text."),
        ("key_file", 5, "must be the path of a file."),
        ("key_file", "", "must be the path of a file."),
    ],
)
def test_a_bad_value_of_the_table_is_told_with_its_key(name: str, value: object, told: str) -> None:
    """TOML has types, so nothing is guessed."""
    assert faults(ORIGIN, {name: value}) == [f"{name}: {told}"]


def test_all_faults_are_told_at_once() -> None:
    """Ten in a file and three in the environment are thirteen sentences, not thirteen starts."""
    table: dict[str, object] = {
        "port": 0,
        "rate_per_s": -1,
        "open": "yes",
        "data_folder": 1,
        "hosts": "a",
        "method": "lifo",
        "lanes": ["x"],
        "banner": 1,
        "limit": 0,
        "prot": 1,
    }

    found = faults({"WAITROOM_KEY": "x", "WAITROOM_KEYS": "x"}, table)

    assert len(found) == 13
    assert "WAITROOM_ORIGIN: must be set (address of the protected site)." in found


def test_an_unknown_name_is_a_fault_with_a_guess() -> None:
    """A limit that is misspelt and silently ignored ruins a sale."""
    assert faults({"WAITROOM_PROT": "80", "WAITROOM_XYZZY": "1", **ORIGIN}, {"rate_per_sec": 1}) == [
        "WAITROOM_PROT: there is no such setting; did you mean WAITROOM_PORT?",
        "WAITROOM_XYZZY: there is no such setting.",
        "rate_per_sec: there is no such setting; did you mean rate_per_s?",
    ]


@pytest.mark.parametrize(
    ("content", "value"),
    [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("ä\n", "ä")],
)
def test_a_secret_may_stand_in_a_file(tmp_path: Path, content: str, value: str) -> None:
    """As Docker and Kubernetes hand them out; one line break at the end is not part of it."""
    (tmp_path / "key").write_bytes(content.encode())

    for door in (
        read(Door, {"WAITROOM_KEY_FILE": str(tmp_path / "key"), **ORIGIN}),
        read(Door, ORIGIN, {"key_file": str(tmp_path / "key")}),
    ):
        assert door.key == value


def test_a_file_that_is_no_good_is_told(tmp_path: Path) -> None:
    """Missing, not text, more than one line break, or beside the value itself."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "lines").write_bytes(b"hunter2\n\n")
    missing, binary, lines = (str(tmp_path / name) for name in ("missing", "binary", "lines"))

    assert faults({"WAITROOM_KEY_FILE": missing, **ORIGIN}) == [
        f"WAITROOM_KEY_FILE: the file {missing} cannot be read (No such file or directory)."
    ]
    assert faults({"WAITROOM_KEY_FILE": binary, **ORIGIN}) == [
        f"WAITROOM_KEY_FILE: the file {binary} is not UTF-8 text."
    ]
    assert faults({"WAITROOM_KEY_FILE": lines, **ORIGIN}) == ["WAITROOM_KEY_FILE: must be one of hunter2, ä."]
    assert faults({"WAITROOM_KEY": "hunter2", "WAITROOM_KEY_FILE": missing, **ORIGIN}) == [
        "WAITROOM_KEY: set either this or WAITROOM_KEY_FILE."
    ]


def test_only_secrets_are_read_from_files() -> None:
    """`WAITROOM_PORT_FILE` is a misspelt name."""
    assert "no such setting" in faults({"WAITROOM_PORT_FILE": "/x", **ORIGIN})[0]


def test_a_secret_never_shows() -> None:
    """Not in `repr`, not in a fault."""
    door = read(Door, {"WAITROOM_KEY": "hunter2", **ORIGIN})

    assert door.key == "hunter2"
    assert "hunter2" not in repr(door)
    assert "letmein" not in "".join(faults({"WAITROOM_KEY": "letmein", **ORIGIN}))


@dataclass(frozen=True, slots=True)
class Shop:
    """A second package's settings, which belong together."""

    hold_s: int = setting(default=120, help="how long seats are put aside")
    pay_s: int = setting(default=60, help="how long a payment may take")

    def __post_init__(self) -> None:
        """Check what only both together can violate."""
        if self.pay_s > self.hold_s:
            raise Misconfigured(["WAITROOM_PAY_S: must not exceed WAITROOM_HOLD_S."])


def test_several_packages_read_the_same_sources() -> None:
    """A name is unknown only when nobody knows it; faults of all come together."""
    door, shop = read_all((Door, Shop), {"WAITROOM_HOLD_S": "90", **ORIGIN}, {"pay_s": 90})
    assert (door.origin, shop.hold_s, shop.pay_s) == ("http://shop", 90, 90)

    with pytest.raises(Misconfigured) as refusal:
        read_all((Door, Shop), {"WAITROOM_PAY_S": "121", "WAITROOM_PORT": "x"})

    assert [fault.partition(":")[0] for fault in refusal.value.faults] == [
        "WAITROOM_ORIGIN",
        "WAITROOM_PORT",
        "WAITROOM_PAY_S",
    ]


def test_another_prefix_can_be_chosen() -> None:
    """The guard of a shop reads its own few."""
    assert read(Shop, {"SHOP_PAY_S": "5", "WAITROOM_X": "1"}, prefix="SHOP_").pay_s == 5


def test_the_rows_for_the_docs_are_complete() -> None:
    """Name, variable, type with its limits, default, help, secret."""
    rows = {row.name: row for row in describe(Door)}

    assert rows["port"] == Row(
        "port", "WAITROOM_PORT", "whole number ≥ 1 ≤ 65535", "8080", "port to listen on", secret=False
    )
    assert [(row.type, row.default) for row in rows.values()] == [
        ("text", "required"),
        ("whole number ≥ 1 ≤ 65535", "8080"),
        ("number ≥ 0", "2.5"),
        ("true or false", "false"),
        ("path", "data"),
        ("comma-separated list", "a,b"),
        ("fifo or random", "fifo"),
        ("verified or standard", ""),
        ("text", ""),
        ("whole number ≥ 1", ""),
        ("hunter2 or ä", ""),
    ]
    assert [row.name for row in rows.values() if row.secret] == ["key"]


def test_a_field_that_is_no_setting_is_our_mistake() -> None:
    """Unknown types, unions of several, and plain fields are refused at once."""

    @dataclass(frozen=True)
    class Odd:
        rates: list[int] = setting(default=None, help="x")  # noqa: RUF009

    @dataclass(frozen=True)
    class Either:
        rate: int | str = setting(default=1, help="x")

    @dataclass(frozen=True)
    class Plain:
        rate: int = 1

    for cls in (Odd, Either, Plain):
        with pytest.raises(TypeError, match="is not a setting of a known type"):
            describe(cls)


@given(
    environ=st.dictionaries(
        st.sampled_from([row.env for row in describe(Door)] + ["WAITROOM_KEY_FILE", "WAITROOM_X"]),
        st.text(max_size=8),
    )
)
def test_no_environment_breaks_the_reader(environ: dict[str, str]) -> None:
    """Either settings within their limits, or sentences that each name a variable that was given or missing."""
    found: tuple[str, ...] = ()
    try:
        door = read(Door, environ)
    except Misconfigured as error:
        found = error.faults

    assert found or 1 <= door.port <= 65535
    assert all(fault.partition(":")[0] in {*environ, "WAITROOM_ORIGIN"} for fault in found)
    assert all(fault.endswith((".", "?")) for fault in found)


def test_without_the_check_of_names_a_misspelt_limit_would_be_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant: the reader then starts with the default, as the check above forbids."""
    monkeypatch.setattr("kernel.settings._unknown", lambda *_: iter(()))

    assert read(Door, {"WAITROOM_PROT": "80", **ORIGIN}).port == 8080
