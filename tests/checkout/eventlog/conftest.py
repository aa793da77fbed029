"""What the tests of the log may ask for: an open shop database on PostgreSQL alone."""

from collections.abc import Iterator

import pytest

from checkout.database import ShopDatabase
from tests.checkout.cutting import schema


@pytest.fixture
def postgres_shop(postgres_url: str) -> Iterator[ShopDatabase]:
    """Give an open database with empty tables."""
    from sqlalchemy.engine import make_url

    with schema(postgres_url) as name:
        address = make_url(postgres_url).update_query_dict({"options": f"-csearch_path={name}"})
        database = ShopDatabase(address.render_as_string(hide_password=False))
        database.open()
        yield database
        database.close()
