"""Binding: the use cases of a place that is bound to the key of a browser: which key counts, prove, carry, let go.

The key's thumbprint comes with the join and stands in the leaf, or never: a ticket that began without one stays a
bearer paper, and nobody can bind it later, neither its owner nor whoever copied it (ADR-0031). From then on the key
changes in two ways only. Who **carries** the place proves the old key, and the browser that takes it over shows its
own. An operator **lets go** of a key that is lost: then the ticket alone has the place again.

A room whose setting says `none` asks for no proof, whatever its tickets say. Not here: what a proof is
(``admission.proof``), HTTP (``carry_web``, ``binding_web``).
"""

from dataclasses import replace

from kernel.errors import Refused
from waitroom import ticket as tickets
from waitroom.binding_store import BindingStore
from waitroom.ports import Proofs
from waitroom.reading import Reading
from waitroom.room_fields import Bind
from waitroom.service import Waitroom
from waitroom.ticket import Ticket


class Binding:
    """Knows the keys of the places of `waitroom`."""

    def __init__(self, waitroom: Waitroom, store: BindingStore) -> None:
        """Join the parts."""
        self._waitroom = waitroom
        self._store = store

    async def key_of(self, reading: Reading, held: Ticket) -> str:
        """Return the thumbprint whose proof an act with this ticket needs, '' for none.

        Raises Refused (``place-carried``) for a ticket whose place has another key by now; and Unavailable.
        """
        if not held.key or reading.room.bind is Bind.NONE:
            return ""
        moved = await self._store.moved(held.room, held.run, held.number)
        if moved is None or moved == held.key:
            return held.key
        if not moved:
            return ""
        raise Refused(
            "place-carried",
            "This place has been carried to another browser or device. It is safe, and its turn comes there.",
            status=403,
        )

    async def prove(self, proofs: Proofs, room: str, text: str, shown: str, now_ms: int) -> None:
        """Let a place be carried by whom it belongs to. Raises Refused as a claim does; and Unavailable."""
        reading, held, _ = await self._waitroom.place_of(room, text, now_ms)
        key = await self.key_of(reading, held)
        if key:
            await proofs.may_carry(held, key, shown, now_ms)

    async def carried(self, reading: Reading, text: str, held: Ticket, key: str) -> tuple[str, Ticket]:
        """Bind a place that was handed over to the key of the browser that has it now; return its ticket.

        A place that was not bound stays so.
        """
        if not key or not held.key or key == held.key or reading.room.bind is Bind.NONE:
            return text, held
        await self._store.move(held.room, held.run, held.number, key)
        bound = replace(held, carried_key="" if key == held.holder_key else key)
        return tickets.write(self._waitroom.signer, bound), bound

    async def let_go(self, room: str, number: int, who: str, why: str) -> str:
        """Forget the key of a number of the present run, on an operator's word; return the run.

        The record of who and why is made in the same step: there is no act without one.

        Raises Refused (``room-unknown``, ``place-unknown``) and Unavailable.
        """
        line = self._waitroom.reading(room).line
        if line is None or number >= line.issued:
            raise Refused("place-unknown", "There is no such place in the present line.", status=404)
        act = {"act": "key-released", "what": f"place {number + 1}", "who": who, "why": why}
        stream = self._waitroom.store.keys(room).journal
        await self._store.release(room, line.run, number, stream, act, self._waitroom.clock.now_ms())
        return line.run
