"""Mails in a folder: for whoever tries things out without a mail server."""

import stat
from email import message_from_bytes, policy
from pathlib import Path

from checkout.notifications.folder import Folder
from checkout.notifications.mail import compose
from checkout.notifications.message import Kind, Message, Outcome
from checkout.notifications.ports import Attachment, Contact, Mail
from kernel.mail import Ready, sender_of

NOW_MS = 1_800_000_000_000


def ready(name: str = "order-paid.O1") -> Ready:
    """Put a mail together."""
    message = Message(name, "summer", Kind.ORDER_PAID, "O1", NOW_MS)
    papers = [Attachment("summer.pdf", "application/pdf", b"%PDF-")]
    mail = Mail("Paid: Sömmer", "Hello.", "<p>Hello.</p>")
    sender = sender_of("Aurora Hall <tickets@aurora.example>")
    return compose(message, Contact("ann@example.org"), mail, papers, sender, None, NOW_MS)


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
