"""What the tests of the sandbox may ask for: one that runs.

* ``box``: a running sandbox, with its clock at ``NOW_MS`` of the tests' ``clock``.
"""

from collections.abc import Iterator

import pytest

from kernel.clock import ManualClock
from tests.checkout.sandbox.running import Running, running


@pytest.fixture
def box(clock: ManualClock) -> Iterator[Running]:
    """Give a sandbox."""
    with running(clock) as one:
        yield one
