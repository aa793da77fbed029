"""Where an address is, by MaxMind's own test files: read anew without a restart, and never from a broken one."""

import builtins
import shutil
import struct
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.fraud.geo import Geo
from kernel import places
from kernel.errors import Misconfigured
from kernel.places import BAD, GeoFile, Place, read_geo, walked
from tests.checkout.fraud.suspects import ANONYMOUS, BROKEN, CITY, LONDON, SYSTEMS, Metrics


def put(source: Path, path: Path) -> Path:
    """Replace a file as an operator should."""
    fresh = path.with_suffix(".new")
    shutil.copyfile(source, fresh)
    fresh.replace(path)
    return path


@pytest.mark.parametrize(
    ("address", "country", "city"),
    [
        (LONDON, "GB", "London"),
        (f"::ffff:{LONDON}", "GB", "London"),
        ("2.125.160.216", "GB", "Boxford"),
        ("89.160.20.112", "SE", "Linköping"),
        ("2001:218::1", "JP", ""),
        ("2001:218::1%eth0", "JP", ""),
    ],
)
def test_a_country_and_a_city_are_told_where_they_are_known(address: str, country: str, city: str) -> None:
    """IPv4, IPv6, and IPv4 in IPv6 clothes."""
    place = Geo(Metrics(), places=CITY).look(address)

    assert place is not None
    assert (place.country, place.city) == (country, city)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "local", "", "81.2.69"])
def test_an_address_that_no_file_knows_is_nowhere(address: str) -> None:
    """So is what is no address."""
    metrics = Metrics()

    assert Geo(metrics, places=CITY).look(address) is None
    assert metrics.value("fraud_without_total", missing="geoip") == 0


def test_two_files_together_tell_what_each_knows() -> None:
    """The one countries, the other autonomous systems; either may be there alone."""
    both = Geo(Metrics(), places=CITY, systems=SYSTEMS)

    assert both.look("1.128.0.1") == Place("", "", 1221, "Telstra Pty Ltd")
    assert both.look(LONDON) == Place("GB", "London")
    assert Geo(Metrics(), systems=SYSTEMS).look(LONDON) is None
    assert Geo(Metrics()).look(LONDON) is None


async def test_a_replaced_file_counts_without_a_restart(tmp_path: Path) -> None:
    """One that knows London takes the place of one that does not."""
    path = put(SYSTEMS, tmp_path / "geo.mmdb")
    metrics = Metrics()
    watched = Geo(metrics, places=path)
    assert watched.look(LONDON) is None

    put(CITY, path)
    assert await watched.files[0].refresh()
    assert watched.look(LONDON) == Place("GB", "London")
    assert metrics.value("fraud_stale_files", file="geoip") == 0


@pytest.mark.parametrize("bad", [BROKEN, ANONYMOUS, Path(__file__)])
async def test_a_bad_file_keeps_the_old_one(bad: Path, tmp_path: Path) -> None:
    """Broken in its records, of another kind, or no such file at all."""
    path = put(CITY, tmp_path / "geo.mmdb")
    metrics = Metrics()
    watched = Geo(metrics, places=path)

    put(bad, path)
    assert not await watched.files[0].refresh()
    assert watched.look(LONDON) == Place("GB", "London")
    assert metrics.value("fraud_stale_files", file="geoip") == 1


async def test_a_file_that_is_overwritten_while_it_is_in_use_harms_nobody(tmp_path: Path) -> None:
    """A mapped file that shrinks would end the process."""
    path = put(CITY, tmp_path / "geo.mmdb")
    watched = Geo(Metrics(), places=path)

    path.write_bytes(b"")
    assert watched.look(LONDON) == Place("GB", "London")
    assert not await watched.files[0].refresh()
    assert watched.look(LONDON) == Place("GB", "London")


async def test_a_reload_that_takes_a_broken_file_would_be_noticed(tmp_path: Path) -> None:
    """The mutant: a reader that does not walk the file loses London, and counts that it did."""

    def unchecked(octets: bytes) -> GeoFile:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(places, "walked", lambda _reader, _known: [Place("GB")])
            return read_geo(octets)

    path = put(CITY, tmp_path / "geo.mmdb")
    metrics = Metrics()
    watched = Geo(metrics, places=path, read=unchecked)
    put(BROKEN, path)

    assert await watched.files[0].refresh()
    assert watched.look(LONDON) is None
    assert metrics.value("fraud_without_total", missing="geoip") == 1


def test_at_start_the_faults_of_both_files_are_told(tmp_path: Path) -> None:
    """Each names its file."""
    missing = tmp_path / "missing.mmdb"

    with pytest.raises(Misconfigured) as caught:
        Geo(Metrics(), places=BROKEN, systems=missing)
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == [str(BROKEN), str(missing)]


def test_a_file_of_another_kind_is_named() -> None:
    """So that the operator sees the mistake."""
    with pytest.raises(Misconfigured, match="GeoIP2-Anonymous-IP tells neither"):
        read_geo(ANONYMOUS.read_bytes())


def test_without_the_package_the_operator_hears_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a file is set."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(places, "import_module", missing)

    assert Geo(Metrics()).look(LONDON) is None
    with pytest.raises(Misconfigured, match=r"waitroom\[geoip\]"):
        Geo(Metrics(), places=CITY)


class Tree:
    """A file in which all networks are of one size, and each tells its place; counts who asks."""

    def __init__(self, prefix: int, *, nodes: int, ip_version: int = 4) -> None:
        self.prefix = prefix
        self.asked = 0
        self.known = SimpleNamespace(node_count=nodes, ip_version=ip_version, database_type="Test-City")

    def metadata(self) -> Any:
        """Describe it."""
        return self.known

    def get(self, ip_address: object) -> Any:
        """Answer, whatever the address."""
        return {"country": {"iso_code": "GB"}} if ip_address else None

    def get_with_prefix_len(self, ip_address: object) -> tuple[Any, int]:
        """Answer, and count."""
        self.asked += 1
        return self.get(ip_address), self.prefix


def test_a_file_of_ipv4_alone_knows_no_other_address() -> None:
    """The package would call it a fault to ask."""
    tree = Tree(8, nodes=256)
    file = GeoFile(tree, has_ipv6=tree.known.ip_version == 6)

    assert file.look(ip_address("2001:218::1")) is None
    assert file.look(ip_address(LONDON)) == Place("GB")


def test_a_small_file_is_walked_in_full_and_a_large_one_evenly() -> None:
    """Each network of the one, a bounded number of the other, however large it is."""
    small, large = Tree(8, nodes=256), Tree(32, nodes=10**8)

    assert len(list(walked(small, small.known))) == 256
    assert len(list(walked(large, large.known))) == places.PROBES


def test_a_tree_that_goes_round_in_circles_is_left() -> None:
    """A broken file must not keep a thread busy for ever."""
    circle = Tree(128, nodes=100, ip_version=6)
    circle.prefix = 32

    with pytest.raises(ValueError, match="not a tree"):
        list(walked(circle, circle.known))
    assert circle.asked < 3 * places.PROBES


def test_every_network_of_the_test_file_is_walked() -> None:
    """As many different places as a walk by the package itself finds."""
    import maxminddb

    with maxminddb.open_database(CITY) as reader:
        own = {str(record.get("country", record.get("registered_country", {})).get("iso_code", ""))
               for _, record in reader}  # fmt: skip
    file = read_geo(CITY.read_bytes())
    found = {place.country for place in walked(file.reader, file.reader.metadata()) if place is not None}

    assert found - {""} == own - {""}
    assert len(found) > 10


@given(st.lists(st.tuples(st.integers(0, CITY.stat().st_size - 1), st.integers(0, 255)), max_size=8))
def test_a_damaged_file_is_refused_or_read_and_never_anything_else(damage: list[tuple[int, int]]) -> None:
    """Whatever octets are wrong, nothing but ``Misconfigured`` comes out, and no look-up raises what is not caught."""
    octets = bytearray(CITY.read_bytes())
    for at, value in damage:
        octets[at] = value
    try:
        file = read_geo(bytes(octets))
    except Misconfigured:
        return
    for address in (LONDON, "2001:218::1", "10.0.0.1"):
        try:
            file.look(ip_address(address))
        except BAD:
            continue


@pytest.mark.parametrize("size", [0, 1, 100, 10_000, CITY.stat().st_size - 1])
def test_half_a_file_is_refused(size: int) -> None:
    """A copy that broke off."""
    with pytest.raises(Misconfigured):
        read_geo(CITY.read_bytes()[:size])


def test_what_a_reader_may_raise_is_caught() -> None:
    """The package's own exception, and what comes from below it."""
    import maxminddb

    assert issubclass(maxminddb.InvalidDatabaseError, BAD)
    assert issubclass(struct.error, BAD)
    assert not any(issubclass(getattr(builtins, name), BAD) for name in ("MemoryError", "KeyboardInterrupt"))
