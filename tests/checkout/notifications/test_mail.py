"""Mails: what stands in one, that nothing from outside gets into its head, and how connections are used."""

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest

from checkout.database import ShopDatabase
from checkout.notifications.mail import compose
from checkout.notifications.message import Kind, Message
from checkout.notifications.nobody import NoContacts
from checkout.notifications.ports import Attachment, Contact, Mail
from checkout.notifications.settings import NotificationSettings
from checkout.site.mails import written
from checkout.site.words import languages
from kernel import mail as mail_module
from kernel.errors import Misconfigured
from kernel.mail import NoAddress, address_of, sender_of
from kernel.settings import read
from tests.checkout.notifications.posting import (
    EVENT,
    NOW_MS,
    SENDER,
    Everybody,
    Scene,
    post_office,
)

MESSAGE = Message(
    "order-paid.O1", EVENT, Kind.ORDER_PAID, "O1", NOW_MS, {"amount_minor": 8400, "currency": "EUR"}
)
PLAIN = Mail("Paid", "Paid.\n", "<p>Paid.</p>")


def made(
    contact: Contact | None = None, mail: Mail = PLAIN, *attached: Attachment, **changes: Any
) -> EmailMessage:
    """Put a mail together, and read it as a mailbox would."""
    ready = compose(
        replace(MESSAGE, **changes), contact or Contact("ann@fans.example", "de"), mail, attached,
        sender_of(SENDER), "Help <help@aurora.example>", NOW_MS,
    )  # fmt: skip
    return message_from_bytes(ready.octets, policy=policy.default)  # type: ignore[return-value]


def test_a_mail_says_who_what_and_that_no_person_wrote_it() -> None:
    """Two forms of the same, a name of its own, and nothing that an absence note would answer."""
    mail = made()

    assert mail["From"] == "Aurora Hall <tickets@aurora.example>"
    assert mail["To"] == "ann@fans.example"
    assert mail["Reply-To"] == "Help <help@aurora.example>"
    assert mail["Message-ID"] == "<order-paid.O1@aurora.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<summer.aurora.example>"
    assert mail["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_a_ticket_goes_along_as_a_file() -> None:
    """What papers there are is attached, byte for byte."""
    mail = made(None, PLAIN, Attachment("Karten.pdf", "application/pdf", b"%PDF-1.7\r\n\x00\xff"))
    (file,) = mail.iter_attachments()

    assert mail.get_content_type() == "multipart/mixed"
    assert (file.get_filename(), file.get_content_type()) == ("Karten.pdf", "application/pdf")
    assert file.get_content() == b"%PDF-1.7\r\n\x00\xff"


@pytest.mark.parametrize(
    "text",
    [
        "ann@fans.example\r\nBcc: all@fans.example",
        "ann@fans.example, bob@fans.example",
        "<ann@fans.example>",
        "ann fans@fans.example",
        "ann@fans..example",
        "ann@",
        "@fans.example",
        "ann",
        "",
        "a@b@fans.example",
        "ann@fans.example;x",
        "ann@[127.0.0.1]",
        "a" * 250 + "@fans.example",
        'ann"@fans.example',
        "ann\x00@fans.example",
    ],
)
def test_what_is_no_address_gets_no_mail(text: str) -> None:
    """One address, and nothing that a header or an envelope would read as more."""
    with pytest.raises(NoAddress):
        address_of(text)


@pytest.mark.parametrize("text", ["Paid\r\nBcc: all@fans.example", "Paid\nX: y", "Paid\rX: y"])
def test_a_subject_that_would_be_two_headers_is_refused(text: str) -> None:
    """Header injection: nothing is sent."""
    with pytest.raises(ValueError, match="one line"):
        made(None, replace(PLAIN, subject=text))


def test_without_a_look_at_addresses_one_would_be_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: whatever stands there goes into the envelope."""
    from email.headerregistry import Address

    monkeypatch.setattr(
        mail_module,
        "address_of",
        lambda text, name="": Address(
            name, addr_spec=None, username=text.split("@")[0], domain=text.split("@")[1]
        ),
    )

    ready = compose(
        MESSAGE, Contact("ann,bob@fans.example"), PLAIN, (), Address("", "t", "a.example"), None, NOW_MS
    )

    assert "," in ready.recipient


def test_a_domain_is_written_in_ascii() -> None:
    """IDNA; the name before the @ stays what it is."""
    assert address_of("ann@bücher.example").addr_spec == "ann@xn--bcher-kva.example"
    assert address_of("käthe@BÜCHER.example").addr_spec == "käthe@xn--bcher-kva.example"
    assert address_of("ann@Fans.Example").addr_spec == "ann@fans.example"


# ------------------------------------------------------------------------------------- words


class Page(HTMLParser):
    """What a page asks for, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and where it leads."""
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in {"href", "src", "action", "background"}
        ]

    def handle_data(self, data: str) -> None:
        """Note words."""
        self.words.append(data)


FACTS = {"amount_minor": 8400, "currency": "EUR", "until_ms": NOW_MS}


@pytest.mark.parametrize("language", sorted(languages()))
@pytest.mark.parametrize("kind", list(Kind))
def test_every_message_has_words_in_every_language(kind: Kind, language: str) -> None:
    """Subject, text and HTML, with a link, and nothing that would be fetched."""
    message = replace(MESSAGE, kind=kind, facts=FACTS)
    link = "https://shop.example/events/summer/order/O1"
    title = "Rock & <Roll>\r\nBcc: x@y.example"
    mail = written(
        languages()[language], message, title=title, place="Hall, Bremen", when="Fri", zone="Europe/Berlin", link=link
    )  # fmt: skip
    page = Page(mail.html)

    assert "Rock & <Roll>" in mail.subject
    assert not set("\r\n") & set(mail.subject)
    assert link in mail.text
    assert page.links == [link]
    assert not {"script", "img", "link", "iframe", "form", "roll"} & set(page.tags)
    assert "url(" not in mail.html
    assert "@import" not in mail.html
    assert "prefers-color-scheme: dark" in mail.html
    assert f'lang="{language}" dir="{languages()[language].direction}"' in mail.html
    assert ("84" in mail.text) is (kind in {Kind.ORDER_PAID, Kind.ORDER_REFUNDED, Kind.EVENT_CANCELLED})
    assert made(Contact("ann@fans.example", language), mail)["Subject"] == mail.subject


def test_a_part_that_went_back_is_not_told_as_the_whole() -> None:
    """Two refunds differ in words, not only in the amount."""

    def text_of(*, whole: bool) -> str:
        message = replace(MESSAGE, kind=Kind.ORDER_REFUNDED, facts={**FACTS, "whole": whole})
        return written(
            languages()["en"], message, title="Rock", place="Hall", when="Fri", zone="UTC", link="https://x.example"
        ).text  # fmt: skip

    assert "whole amount" in text_of(whole=True)
    assert "whole amount" not in text_of(whole=False)
    assert "A part" in text_of(whole=False)


# ------------------------------------------------------------------------------- over the wire


@pytest.fixture
def scene(shop_database: ShopDatabase) -> Scene:
    """Give an empty outbox."""
    return Scene(shop_database)


async def test_connections_are_used_again(scene: Scene) -> None:
    """Fifty mails over two connections."""
    scene.put(*(f"O{number}" for number in range(50)))
    async with post_office() as office:
        mailing = scene.mailing(office.port, connections=2)
        await scene.passed(scene.relay(mailing), mailing)
        used = len(office.inbox.connections)
        await mailing.close()

    assert len(office.inbox.taken) == 50
    assert used == 2


async def test_a_server_that_hung_up_meanwhile_is_called_again(scene: Scene) -> None:
    """A connection that rested is gone: the mail goes over a new one, at once."""
    scene.put("O1")
    async with post_office() as office:
        mailing = scene.mailing(office.port)
        relay = scene.relay(mailing)
        await scene.passed(relay, mailing)
        await office.shut()
        await office.open()
        scene.put("O2")
        await scene.passed(relay, mailing)
        await mailing.close()

    assert [row["tries"] for row in scene.sends().values()] == [1, 1]
    assert scene.states() == {"sent": 2}


async def test_who_is_not_there_or_does_not_want_it_is_skipped(scene: Scene) -> None:
    """No address: no mail; a fan who wants other kinds: none of this one."""
    scene.put("O1")
    async with post_office() as office:
        nobody = scene.mailing(office.port, NoContacts())
        await scene.passed(scene.relay(nobody), nobody)
        scene.put("O2")
        unwilling = scene.mailing(office.port, Everybody(frozenset({"waitlist-offer"})))
        await scene.passed(scene.relay(unwilling), unwilling)

    whys = {key[0]: (row["state"], row["why"]) for key, row in scene.sends().items()}
    assert whys == {"order-paid.O1": ("skipped", "no-contact"), "order-paid.O2": ("skipped", "not-wanted")}
    assert office.inbox.seen == 0


async def test_an_address_that_is_not_ascii_goes_where_it_is_taken(scene: Scene) -> None:
    """SMTPUTF8: offered, it is used; the domain is in ASCII all the same."""
    scene.put("käthe")
    async with post_office() as office:
        mailing = scene.mailing(office.port)
        await scene.passed(scene.relay(mailing), mailing)
        (mail,) = office.inbox.mails
        await mailing.close()

    assert scene.states() == {"sent": 1}
    assert "käthe@fans.example".encode() in office.inbox.taken[0]
    assert mail["Auto-Submitted"] == "auto-generated"


# ----------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"mail_host": "mx.example"}, "no sender"),
        (
            {"mail_host": "mx.example", "mail_from": "a@b.example", "mail_tls": "none", "mail_password": "x"},
            "as it is",
        ),
        ({"webhook_urls": ["http://hooks.example/x"], "webhook_secret": "whsec_" + "QUJD" * 8}, "https"),
        ({"webhook_urls": ["https://me:pw@hooks.example"], "webhook_secret": "whsec_" + "QUJD" * 8}, "https"),
        ({"webhook_urls": ["https://hooks.example/x"]}, "need a secret"),
        ({"webhook_secret": "whsec_QUJD"}, "24 random octets"),
        ({"webhook_secret": "no-secret-of-this-kind-at-all"}, "24 random octets"),
        ({"webhook_kinds": ["order-lost"]}, "order-lost"),
    ],
)
def test_settings_that_cannot_be_are_refused(table: dict[str, object], fault: str) -> None:
    """Each with a sentence that says what."""
    with pytest.raises(Misconfigured) as told:
        read(NotificationSettings, {}, table)

    assert any(fault in sentence for sentence in told.value.faults)


def test_settings_that_can_be_are_taken() -> None:
    """This machine needs no TLS; a webhook there needs no https."""
    own = read(
        NotificationSettings,
        {},
        {
            "mail_host": "127.0.0.1", "mail_from": SENDER, "mail_tls": "none", "mail_password": "x",
            "webhook_urls": ["http://127.0.0.1:9000/hook"], "webhook_secret": "whsec_" + "QUJD" * 8,
        },
    )  # fmt: skip

    assert own.tries == 16
    assert own.keep_days == 30
