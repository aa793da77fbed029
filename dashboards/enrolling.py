"""Enrolling: a device that is being made: what a person's phone reads, and our own paper about it.

The secret stands on the page as a picture and as text, and comes back in a paper that we signed, bound to what it is
for: an invitation, or a session. It is kept only once the device has shown a code. Not here: where (``account_book``).
"""

import base64
from typing import NamedTuple

import segno
from markupsafe import Markup

from dashboards.account_book import new_secret
from kernel import totp
from kernel.clock import Clock
from kernel.signing import BadSignature, PaperSigner

ISSUER = "Waitroom console"
LASTS_MS = 3_600_000


class NewDevice(NamedTuple):
    """What the page shows: the secret as text in fours, as a picture, as an address, and our paper."""

    text: str
    picture: Markup
    address: str
    paper: str


class Enrolling:
    """Makes devices."""

    def __init__(self, signer: PaperSigner, clock: Clock) -> None:
        """Sign with `signer`."""
        self._signer = signer
        self._clock = clock

    def offer(self, bound: str, name: str, paper: str = "") -> NewDevice:
        """Offer a new device for `name`, or the one of a `paper` that still counts."""
        secret = self.read(bound, paper) or new_secret()
        text = base64.b32encode(secret).decode()
        until_ms = self._clock.now_ms() + LASTS_MS
        own = "\0".join(("device", bound, str(until_ms), text))
        address = totp.address(secret, name, ISSUER)
        fours = " ".join(text[start : start + 4] for start in range(0, len(text), 4))
        return NewDevice(fours, _picture(address), address, self._signer.sign(own.encode()))

    def read(self, bound: str, paper: str) -> bytes | None:
        """Return the secret of a paper; None for one that does not count for `bound`, or no more."""
        try:
            word, own, until_ms, text = self._signer.open(paper).decode().split("\0")
        except (BadSignature, ValueError):
            return None
        if (word, own) != ("device", bound) or self._clock.now_ms() >= int(until_ms):
            return None
        return base64.b32decode(text)


def _picture(text: str) -> Markup:
    """Draw a code, dark on light in any scheme: scanners want it so."""
    drawn = segno.make_qr(text, error="m").svg_inline(omitsize=True, border=4, dark="#000", light="#fff")
    return Markup(drawn)  # noqa: S704 - drawn by the library from modules, no text of anybody's in it
