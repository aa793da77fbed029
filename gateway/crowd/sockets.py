"""Sockets: a crowd needs as many as it has fans; whoever runs it is told when the system does not give them."""

from gateway.files import SPARE, most_connections


class TooFewSockets(ValueError):
    """The system does not let this process open as many sockets as were asked for."""


def check_sockets(wanted: int) -> None:
    """Raise TooFewSockets when `wanted` sockets are more than the system allows."""
    most = most_connections()
    if wanted > most:
        raise TooFewSockets(
            f"{wanted:,} sockets are more than this process may open ({most:,}): raise the hard limit of open "
            f"files (ulimit -Hn {wanted + SPARE}), or send several crowds."
        )
