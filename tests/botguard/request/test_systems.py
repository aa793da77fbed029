"""Autonomous systems by MaxMind's own test file: looked up once for a network, and anew when the file has changed."""

import shutil
from ipaddress import ip_address
from pathlib import Path

from prometheus_client import CollectorRegistry

from botguard.metrics import Metrics
from botguard.request.systems import SystemsFile
from kernel.places import GeoFile, read_geo
from kernel.watched import Watched
from tests.checkout.fraud.suspects import CITY, SYSTEMS


async def test_a_system_is_looked_up_once_and_anew_when_the_file_changes(tmp_path: Path) -> None:
    """By /24; an address that the file does not know is in none."""
    path = tmp_path / "asn.mmdb"
    shutil.copyfile(SYSTEMS, path)
    metrics = Metrics(CollectorRegistry())
    file: Watched[GeoFile] = Watched("bot-asn", path, read_geo, metrics.files, most_bytes=10_000_000)
    systems = SystemsFile(file)

    assert [systems.system_of(ip_address(at)) for at in ("1.128.0.1", "1.128.0.2", "2001:db8::1")] == [
        1221,
        1221,
        0,
    ]
    assert len(systems._kept) == 2

    fresh = tmp_path / "fresh"
    shutil.copyfile(CITY, fresh)
    fresh.replace(path)
    assert await file.refresh()
    assert systems.system_of(ip_address("1.128.0.1")) == 0


def test_a_bad_record_is_no_system() -> None:
    """A file whose records cannot be read after all."""

    class Broken:
        """Fails on every address."""

        value = None

        class Value:
            """A file."""

            def look(self, address: object) -> None:
                """Fail."""
                raise ValueError(address)

    broken = Broken()
    broken.value = Broken.Value()  # type: ignore[assignment]

    assert SystemsFile(broken).system_of(ip_address("1.128.0.1")) == 0  # type: ignore[arg-type]
