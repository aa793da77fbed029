"""Tables of accounts, sessions, tokens and logins: made and used on either database, beside the chain."""

from contextlib import closing

import sqlalchemy as sa

from dashboards.access_books import AccessBooks
from dashboards.account_book import Told
from dashboards.account_tables import META
from dashboards.rights import Person, Role
from dashboards.session_book import IN
from kernel.clock import ManualClock
from kernel.oidc import Person as Somebody
from kernel.totp import STEP_MS, code_at
from tests.dashboards.people import BY, CHEAP, KEY, PASSWORD
from waitroom.journal_store import JournalStore


def test_the_books_stand_on_either_database(journal_url: str, clock: ManualClock) -> None:
    """Everything that is kept is found again by another process, and every column is where the code looks for it."""
    with closing(JournalStore(journal_url)) as journal:
        journal.open()
        with journal._engine.connect() as connection:
            found = {
                table: {column["name"] for column in sa.inspect(connection).get_columns(table)}
                for table in META.tables
            }
    with (
        closing(AccessBooks(journal_url, KEY, clock, cost=CHEAP)) as books,
        closing(AccessBooks(journal_url, KEY, clock, cost=CHEAP)) as other,
    ):
        _, code = books.accounts.invite("Ann Lee", Role.OWNER, None, BY, "ann@example.org")
        digits = code_at(KEY[:20], clock.now_ms() // STEP_MS)
        told, recovery = other.accounts.accept(code, PASSWORD, KEY[:20], digits)
        checked = [books.accounts.check("ann lee", PASSWORD, recovery[0]) for _ in range(2)]
        named = books.accounts.by_provider(Somebody("https://id.example", "s1", "ann@example.org", ""))
        books.sessions.begin("Ann Lee", "sid", clock.now_ms() + 1000, "192.0.2.0/24", "password")
        _, token = books.tokens.add("deploy", Role.OPERATOR, frozenset({"main"}), 1, BY, "Ann Lee")
        who = [other.sessions.who("sid"), other.tokens.who(token)]
        logins = [(one.name, one.outcome) for one in other.sessions.logins()]
        known = other.sessions.is_known("ANN LEE", "192.0.2.0/24")
        gone = books.accounts.remove("Ann Lee", keep_owner=False, by=BY)
        after = [other.sessions.who("sid"), other.tokens.who(token), other.accounts.find("Ann Lee")]

    assert found == {name: set(table.columns.keys()) for name, table in META.tables.items()}
    assert (told, checked, gone) == (Told.DONE, [Told.DONE, Told.PASSWORD_WRONG], Told.DONE)
    assert named is not None
    assert who == [Person("Ann Lee", Role.OWNER), Person("deploy", Role.OPERATOR, frozenset({"main"}))]
    assert (logins, known) == ([("Ann Lee", IN)], True)
    assert after == [None, None, None]
