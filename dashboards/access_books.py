"""Access books: accounts, sessions, tokens and waits of one installation, which stand in one database together."""

from dashboards.account_book import AccountBook
from dashboards.account_tables import AccountDatabase
from dashboards.passwords import USUAL, Cost
from dashboards.session_book import KEPT_DAYS, SessionBook
from dashboards.token_book import TokenBook
from dashboards.wait_book import WaitBook
from kernel.clock import Clock
from kernel.sealing import Vault


class AccessBooks:
    """The books."""

    def __init__(
        self, url: str, secret: bytes, clock: Clock, *, logins_days: int = KEPT_DAYS, cost: Cost = USUAL
    ) -> None:
        """Prepare; nothing is opened yet. `secret` (32 octets) seals devices and hashes addresses.

        Raises ``Misconfigured`` for an address that cannot be one.
        """
        self._database = AccountDatabase(url)
        vault = Vault("operators", {"operators": secret}, secret)
        self.accounts = AccountBook(self._database, vault, clock, cost)
        self.sessions = SessionBook(self._database, clock, logins_days)
        self.tokens = TokenBook(self._database, clock)
        self.waits = WaitBook(self._database, vault)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
