"""Mails in a folder: for whoever tries things out without a mail server."""

import stat
from email import message_from_bytes, policy
from pathlib import Path
from typing import NamedTuple

from kernel.mail import Letter, Ready, sender_of, written
from kernel.mail_folder import Folder
from kernel.sending import Outcome

NOW_MS = 1_800_000_000_000


class Paper(NamedTuple):
    """Something that goes along."""

    name: str
    kind: str
    content: bytes


def ready(name: str = "order-paid.O1") -> Ready:
    """Put a mail together."""
    paper = Paper("summer.pdf", "application/pdf", b"%PDF-")
    letter = Letter("ann@example.org", name, "en", "Paid: Sömmer", "Hello.", "<p>Hello.</p>", [paper])
    return written(letter, sender_of("Aurora Hall <tickets@aurora.example>"), None, NOW_MS)


async def test_a_mail_is_a_file_that_any_program_reads(tmp_path: Path) -> None:
    """Whole, for its owner only, and the same sent twice is one."""
    folder = Folder(tmp_path / "mails")
    results = [await folder.hand_over(one) for one in (ready(), ready(), ready("order-paid.O2"))]
    await folder.close()
    files = sorted((tmp_path / "mails").iterdir())
    mail = message_from_bytes(files[0].read_bytes(), policy=policy.default)

    assert {one.outcome for one in results} == {Outcome.SENT}
    assert len(files) == 2
    assert all(file.name.startswith("order-paid-") and file.suffix == ".eml" for file in files)
    assert stat.S_IMODE((tmp_path / "mails").stat().st_mode) == 0o700
    assert mail["To"] == "ann@example.org"
    assert mail["Subject"] == "Paid: Sömmer"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["summer.pdf"]  # type: ignore[attr-defined]


async def test_a_folder_that_cannot_be_written_to_is_away(tmp_path: Path) -> None:
    """Nothing is lost: it is tried again, as with a server."""
    (tmp_path / "mails").write_text("a file is in the way")
    result = await Folder(tmp_path / "mails").hand_over(ready())

    assert result.outcome is Outcome.AWAY
