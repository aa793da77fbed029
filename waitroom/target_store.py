"""Target store: the targets, their cursors and their last deliveries; in the journal's database, beside the chain.

Two processes never tell one target at once: whoever tells it holds its lease, and every write of a teller says whose
it is. A lease that was lost shows in the write, which then changes nothing; what was sent meanwhile is sent again by
the other, under the same name.

Leases and waits are times of somebody's clock. One that reaches further ahead than anybody writes it was written by a
clock that was wrong, and is not believed: else a target would be told nothing until that time has come.

Synchronous, as the journal's store. Database errors become ``Unavailable`` here. Not here: what may be a target
(``targets``), when one is told (``target_round``).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from kernel.backoff import LONGEST_MS
from kernel.database import address, begin_writing, close, engine, take_turn
from kernel.errors import Refused
from waitroom.journal import NewEntry
from waitroom.journal_tables import ENTRIES, LOCK, octets_of, translated
from waitroom.journal_writing import put
from waitroom.targets import TARGETS_MOST, Delivery, State, Target, Way

DELIVERIES_KEPT = 100
WAIT_MOST_MS = LONGEST_MS + 60_000
"""Nobody makes a target wait for longer; the minute is for clocks that do not quite agree."""

META = sa.MetaData()
TARGETS = sa.Table(
    "event_targets",
    META,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("way", sa.Text),
    sa.Column("address", sa.Text),
    sa.Column("rooms", sa.Text),
    sa.Column("kinds", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("generation", sa.Integer),
    sa.Column("old_until_ms", sa.BigInteger),
    sa.Column("made_ms", sa.BigInteger),
    sa.Column("state", sa.Text),
    sa.Column("cursor", sa.BigInteger),
    sa.Column("tries", sa.Integer),
    sa.Column("next_ms", sa.BigInteger),
    sa.Column("why", sa.Text),
    sa.Column("told_ms", sa.BigInteger),
    sa.Column("holder", sa.Text),
    sa.Column("lease_ms", sa.BigInteger),
)
DELIVERIES = sa.Table(
    "event_deliveries",
    META,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger),
    sa.Column("first_seq", sa.BigInteger),
    sa.Column("last_seq", sa.BigInteger),
    sa.Column("outcome", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("took_ms", sa.BigInteger),
)


class TargetStore:
    """The targets of one installation; ``journal_store`` has made the tables."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ``Misconfigured`` for an address that cannot be one."""
        self._engine = engine(address(url, "journal"), "journal")

    def close(self) -> None:
        """Close all connections."""
        close(self._engine)

    # --------------------------------------------------------------------------------- owners

    def all(self) -> list[Target]:
        """Return all targets by name."""
        with translated(), self._engine.connect() as connection:
            return [_target(row) for row in connection.execute(sa.select(TARGETS).order_by(TARGETS.c.name))]

    def get(self, name: str) -> Target:
        """Return a target. Raises ``Refused``."""
        with translated(), self._engine.connect() as connection:
            return _known(connection, name)

    def make(self, target: Target, after: int | None, record: NewEntry) -> Target:
        """Keep a new target that is told what comes after `after`; None: from now on. Raises ``Refused``.

        As all that owners do, it is there together with its `record` in the journal, or not at all.
        """
        with self._writing() as connection:
            names = set(connection.scalars(sa.select(TARGETS.c.name)))
            if target.name in names:
                raise Refused("target-exists", f"There is a target {target.name} already.", 409)
            if len(names) >= TARGETS_MOST:
                raise Refused("targets-full", f"There are {TARGETS_MOST} targets, no more can be.", 409)
            head = int(connection.scalar(sa.select(sa.func.max(ENTRIES.c.seq))) or 0)
            kept = replace(target, cursor=head if after is None else min(after, head))
            connection.execute(sa.insert(TARGETS).values(**_row(kept), holder="", lease_ms=0))
            put(connection, [record])
            return kept

    def redefine(self, target: Target, tag: str | None, record: NewEntry) -> Target:
        """Give a target another way, address, rooms and kinds; how far it has heard stays. Raises ``Refused``.

        `tag`: what it has to be until then; None: whatever it is. One that is dead is tried again.
        """
        with self._writing() as connection:
            known = _expected(connection, target.name, tag)
            row = _row(target)
            values = {name: row[name] for name in ("way", "address", "rooms", "kinds")}
            state = State.ACTIVE if known.state is State.DEAD else known.state
            own = sa.update(TARGETS).where(TARGETS.c.name == target.name)
            connection.execute(
                own.values(
                    **values, state=state.value, tries=0, next_ms=0, why="", holder="", lease_ms=0,
                )
            )  # fmt: skip
            put(connection, [record])
            return _known(connection, target.name)

    def remove(self, name: str, tag: str | None, record: NewEntry) -> None:
        """Forget a target and its deliveries, where it is still what `tag` says. Raises ``Refused``."""
        with self._writing() as connection:
            _expected(connection, name, tag)
            connection.execute(sa.delete(TARGETS).where(TARGETS.c.name == name))
            connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.target == name))
            put(connection, [record])

    def change(self, name: str, record: NewEntry, **values: Any) -> Target:
        """Change what an owner may: state, cursor, generation; whoever tells it now loses the lease."""
        with self._writing() as connection:
            _known(connection, name)
            own = sa.update(TARGETS).where(TARGETS.c.name == name)
            connection.execute(own.values(**values, holder="", lease_ms=0))
            put(connection, [record])
            return _known(connection, name)

    def deliveries(self, name: str) -> list[Delivery]:
        """Return the last tries, newest first."""
        query = (
            sa.select(DELIVERIES)
            .where(DELIVERIES.c.target == name)
            .order_by(DELIVERIES.c.number.desc())
            .limit(DELIVERIES_KEPT)
        )
        with translated(), self._engine.connect() as connection:
            return [
                Delivery(row.at_ms, row.first_seq, row.last_seq, row.outcome, row.why, row.took_ms)
                for row in connection.execute(query)
            ]

    # --------------------------------------------------------------------------------- tellers

    def lease(self, name: str, holder: str, until_ms: int, now_ms: int) -> Target | None:
        """Take a target that nobody else is telling and whose time has come; None where there is none."""
        own = sa.and_(
            TARGETS.c.name == name,
            TARGETS.c.state == State.ACTIVE.value,
            sa.or_(TARGETS.c.next_ms <= now_ms, TARGETS.c.next_ms > now_ms + WAIT_MOST_MS),
            sa.or_(
                TARGETS.c.lease_ms <= now_ms,
                TARGETS.c.lease_ms > now_ms + 2 * (until_ms - now_ms),
                TARGETS.c.holder == holder,
            ),
        )
        with self._writing() as connection:
            changed = connection.execute(
                sa.update(TARGETS).where(own).values(holder=holder, lease_ms=until_ms)
            )
            return _known(connection, name) if changed.rowcount else None

    def release(self, name: str, holder: str) -> None:
        """Give a lease back."""
        with self._writing() as connection:
            own = sa.and_(TARGETS.c.name == name, TARGETS.c.holder == holder)
            connection.execute(sa.update(TARGETS).where(own).values(holder="", lease_ms=0))

    def move(self, target: Target, holder: str, until_ms: int, delivery: Delivery | None) -> bool:
        """Write down how far a target has heard, and the try; False where the lease was lost: nothing is changed.

        `target` has the new values of cursor, tries, next_ms, state, why, told_ms. The lease goes on to `until_ms`.
        """
        with self._writing() as connection:
            own = sa.and_(TARGETS.c.name == target.name, TARGETS.c.holder == holder)
            changed = connection.execute(
                sa.update(TARGETS)
                .where(own)
                .values(
                    cursor=target.cursor, tries=target.tries, next_ms=target.next_ms, state=target.state.value,
                    why=target.why, told_ms=target.told_ms, lease_ms=until_ms,
                )
            )  # fmt: skip
            if not changed.rowcount:
                return False
            if delivery is not None:
                _log(connection, target.name, delivery)
            return True

    def log(self, name: str, delivery: Delivery) -> None:
        """Write down a try that moves nothing: a test event."""
        with self._writing() as connection:
            _known(connection, name)
            _log(connection, name, delivery)

    # ----------------------------------------------------------------------------- connections

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            begin_writing(connection)
            with connection.begin():
                take_turn(connection, LOCK)
                yield connection


def waits_until(next_ms: int, now_ms: int) -> bool:
    """Tell whether a target still has to wait; a time that no clock that is right has written does not count."""
    return now_ms < next_ms <= now_ms + WAIT_MOST_MS


def _known(connection: Connection, name: str) -> Target:
    row = connection.execute(sa.select(TARGETS).where(TARGETS.c.name == name)).first()
    if row is None:
        raise Refused("target-unknown", "There is no such target.", 404)
    return _target(row)


def _expected(connection: Connection, name: str, tag: str | None) -> Target:
    known = _known(connection, name)
    if tag is not None and known.tag != tag:
        raise Refused("settings-stale", "Somebody has changed this target in the meantime.", 412)
    return known


def _log(connection: Connection, name: str, delivery: Delivery) -> None:
    own = DELIVERIES.c.target == name
    number = int(connection.scalar(sa.select(sa.func.max(DELIVERIES.c.number)).where(own)) or 0) + 1
    connection.execute(
        sa.insert(DELIVERIES).values(
            target=name, number=number, at_ms=delivery.at_ms, first_seq=delivery.first_seq,
            last_seq=delivery.last_seq, outcome=delivery.outcome, why=delivery.why, took_ms=delivery.took_ms,
        )
    )  # fmt: skip
    connection.execute(sa.delete(DELIVERIES).where(own, DELIVERIES.c.number <= number - DELIVERIES_KEPT))


def _row(target: Target) -> dict[str, Any]:
    names = [column.name for column in TARGETS.columns if column.name not in {"holder", "lease_ms"}]
    return {name: getattr(target, name) for name in names} | {
        "way": target.way.value,
        "state": target.state.value,
        "rooms": json.dumps(target.rooms),
        "kinds": json.dumps(target.kinds),
    }


def _target(row: Row[Any]) -> Target:
    return Target(
        row.name, Way(row.way), row.address, tuple(json.loads(row.rooms)), tuple(json.loads(row.kinds)),
        octets_of(row.salt), row.generation, row.old_until_ms, row.made_ms, State(row.state), row.cursor, row.tries,
        row.next_ms, row.why, row.told_ms,
    )  # fmt: skip
