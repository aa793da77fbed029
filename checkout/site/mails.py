"""Mails: what people are told by e-mail, in their language: a subject, a text, and the same as a simple HTML page.

The HTML has its style in itself, follows the reader's dark mode, and fetches nothing: no picture, no script, no font,
so that opening it tells nobody. Texts stand in the languages' files (``mail.*``). Not here: to whom
(``checkout.people``), how it is sent (``notifications.mail``).
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from checkout.catalogue.reading import CatalogueReader
from checkout.notifications.message import Kind, Message
from checkout.notifications.ports import Contact, Links, Mail
from checkout.site.words import Catalogue, languages, negotiate


class Mails:
    """``notifications.ports.Writer``."""

    def __init__(self, catalogue: CatalogueReader, links: Links) -> None:
        """`links` name the pages that mails lead to."""
        self._catalogue = catalogue
        self._links = links

    async def write(self, message: Message, contact: Contact) -> Mail:
        """Write a mail. Raises ``Refused`` for an event that there is not."""
        known = await self._catalogue.known(message.event, drafts=True)
        words, zone = languages()[negotiate("", contact.language)], known.venue.time_zone
        return written(
            words,
            message,
            title=known.event.title,
            place=f"{known.venue.name}, {known.venue.city}",
            when=words.moment(known.event.starts_ms, zone),
            zone=zone,
            link=self._links.of(message),
        )


def written(
    words: Catalogue, message: Message, *, title: str, place: str, when: str, zone: str, link: str
) -> Mail:
    """Write a mail about an event of which so much is known."""
    facts, kind = message.facts, message.kind
    text = f"mail.{kind}-text"
    if kind is Kind.ORDER_REFUNDED and not facts.get("whole", True):
        text = "mail.order-refunded-part-text"
    values: dict[str, str | float] = {}
    if "currency" in facts:
        values["price"] = words.due(facts["amount_minor"], facts["currency"])
    if "until_ms" in facts:
        values["time"] = words.moment(facts["until_ms"], zone)
    is_offer = kind is Kind.WAITLIST_OFFER
    given = {
        "language": words.tag,
        "direction": words.direction,
        "head": words.text(f"mail.{kind}-subject", event=title),
        "text": words.text(text, **values),
        "rows": [
            (words.text("event.when"), when),
            (words.text("event.where"), place),
            *([] if is_offer else [(words.text("order.number"), message.subject)]),
        ],
        "link": link,
        "open": words.text("mail.open-offer" if is_offer else "mail.open"),
        "foot": words.text("mail.foot"),
    }
    subject = " ".join(str(given["head"]).split())
    text_page, html_page = (_pages().get_template(name) for name in ("mail.txt", "mail.html"))
    return Mail(subject, text_page.render(given), html_page.render(given))


@cache
def _pages() -> Environment:
    """Return where mails are made; in HTML everything is escaped, in plain text nothing needs to be."""
    return Environment(
        loader=PackageLoader("checkout.site", "pages"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
