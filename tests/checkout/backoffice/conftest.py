"""What the office's tests share: a database of the quick kind, where what is looked at is a page and not SQL."""

from pathlib import Path

import pytest

from tests.checkout.templates import Templates


@pytest.fixture
def quick_url(tmp_path: Path, templates: Templates) -> str:
    """Give the address of a database with empty tables."""
    url = f"sqlite:///{tmp_path}/shop.db"
    templates.fill(url)
    return url
