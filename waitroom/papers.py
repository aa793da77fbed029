"""Papers: the cookies of one room, ready to be written. Not here: what a ticket says (``ticket``), who gets it."""

from kernel.cookies import host_name, set_cookie
from waitroom.rooms import Room, cookie_marks

TICKET_MAX_AGE_S = 86_400


class Papers:
    """The cookies of one room, cut where the values go; all parts are known to be clean."""

    __slots__ = ("_ticket_tail", "base", "ticket")

    def __init__(self, base: Room, secure: bool) -> None:
        """Name them; `secure` is the rule of the house, which the room may overrule."""
        self.base = base
        marks = cookie_marks(base, tls=secure)
        self.ticket = host_name(f"waitroom-ticket-{base.name}{base.cookie_suffix}", marks.secure)
        cookie = set_cookie(
            self.ticket,
            "",
            secure=marks.secure,
            same_site=marks.same_site,
            max_age_s=TICKET_MAX_AGE_S,
            partitioned=marks.partitioned,
        )
        self._ticket_tail = cookie.decode().removeprefix(f"{self.ticket}=")

    def ticket_cookie(self, text: str) -> bytes:
        """Write the cookie that keeps a ticket."""
        return f"{self.ticket}={text}{self._ticket_tail}".encode()
