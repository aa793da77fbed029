"""Codes of a device: those of the standard, and those of another implementation; each counts once, near its time."""

import pyotp
import pytest

from kernel import totp
from kernel.totp import STEP_MS, address, code_at, matching

SECRET = b"12345678901234567890"
NOW_MS = 1_800_000_000_000
NOW = NOW_MS // STEP_MS


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
        (2000000000, "279037"), (20000000000, "353130"),
    ],
)  # fmt: skip
def test_the_codes_are_those_of_the_standard(second: int, code: str) -> None:
    """RFC 6238, appendix B, the last six of eight digits."""
    assert code_at(SECRET, second * 1000 // STEP_MS) == code


def test_a_device_reads_the_address_and_shows_our_codes() -> None:
    """By pyotp, which somebody else has written."""
    device = pyotp.parse_uri(address(SECRET, "ida", "Wait room"))
    assert isinstance(device, pyotp.TOTP)

    assert (device.name, device.issuer) == ("ida", "Wait room")
    for second in range(0, 3_000, 7):
        assert device.at(second) == code_at(SECRET, second * 1000 // STEP_MS)


@pytest.mark.parametrize("beside", [-2, -1, 0, 1, 2])
def test_a_code_counts_beside_its_own_time(beside: int) -> None:
    """Half a minute early or late, at both edges of it, and no further."""
    code = code_at(SECRET, NOW + beside)

    for now_ms in (NOW * STEP_MS, NOW * STEP_MS + STEP_MS - 1):
        assert matching(SECRET, code, 0, now_ms) == (NOW + beside if abs(beside) <= 1 else None)


def test_a_code_counts_once_and_none_before_it_later() -> None:
    """Whoever has seen it over a shoulder comes too late."""
    codes = {beside: code_at(SECRET, NOW + beside) for beside in (-1, 0, 1)}

    assert matching(SECRET, codes[0], NOW, NOW_MS) is None
    assert matching(SECRET, codes[-1], NOW, NOW_MS) is None
    assert matching(SECRET, codes[1], NOW, NOW_MS) == NOW + 1


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "१२३४५६", "\ud800", "000000 "])
def test_what_is_no_code_does_not_count(code: str) -> None:
    """Nor breaks anything."""
    assert matching(SECRET, code, 0, NOW_MS) is None


def test_without_the_last_code_a_replay_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: nobody remembers."""
    code = code_at(SECRET, NOW)
    real = totp.matching
    monkeypatch.setattr(totp, "matching", lambda secret, code, _after, now_ms: real(secret, code, 0, now_ms))

    assert totp.matching(SECRET, code, NOW, NOW_MS) == NOW
