"""Base45: octets as the characters that a QR code packs best (RFC 9285).

Two octets become three characters of 45, one becomes two; all of them belong to the QR code's alphanumeric set, which
takes 5.5 bits a character. Pure.
"""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}


def encode(raw: bytes) -> str:
    """Write octets."""
    made = []
    for at in range(0, len(raw) - 1, 2):
        high, rest = divmod(raw[at] * 256 + raw[at + 1], 2025)
        middle, low = divmod(rest, 45)
        made.append(_ALPHABET[low] + _ALPHABET[middle] + _ALPHABET[high])
    if len(raw) % 2:
        high, low = divmod(raw[-1], 45)
        made.append(_ALPHABET[low] + _ALPHABET[high])
    return "".join(made)


def decode(text: str) -> bytes:
    """Read octets. Raises ``ValueError`` for what ``encode`` would not have written."""
    try:
        values = [_VALUES[character] for character in text]
    except KeyError:
        raise ValueError("not base45") from None
    made = bytearray()
    for at in range(0, len(values), 3):
        group = values[at : at + 3]
        number = sum(value * 45**place for place, value in enumerate(group))
        if len(group) == 1 or number >= 256 ** (len(group) - 1):
            raise ValueError("not base45")
        made += number.to_bytes(len(group) - 1, "big")
    return bytes(made)
