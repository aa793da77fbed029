"""Ticket faces: what is printed on a ticket, put together from event, seat and the words of one language.

Pure. Not here: how it is drawn (``tickets.pdf``, ``tickets.wallet``), which tickets there are (``tickets.service``).
"""

from checkout.catalogue.event import Known
from checkout.halls.sections import Layout, names
from checkout.site.words import Catalogue
from checkout.tickets.face import Face, Labels, Line
from checkout.tickets.service import Shown


def labels(words: Catalogue) -> Labels:
    """Say what stands above the fields."""
    t = words.text
    return Labels(
        when=t("event.when"),
        where=t("event.where"),
        tier=t("ticket.tier"),
        price=t("ticket.price"),
        order=t("order.number"),
        holder=t("ticket.holder"),
        number=t("ticket.number"),
        organiser=t("ticket.organiser"),
    )


def face(words: Catalogue, known: Known, layout: Layout, shown: Shown) -> Face:
    """Put a ticket's face together."""
    event, venue, ticket, t = known.event, known.venue, shown.ticket, words.text
    section, row, number = names(layout, ticket.seat)
    place = [Line(t("ticket.section"), section)]
    if row:
        place += [Line(t("ticket.row"), row), Line(t("ticket.seat"), number)]
    return Face(
        code=shown.code,
        number=ticket.number,
        title=event.title,
        subtitle=event.subtitle,
        venue=venue.name,
        city=venue.city,
        day=words.date(event.starts_ms, venue.time_zone),
        time=words.hour(event.starts_ms, venue.time_zone),
        place=tuple(place),
        tier=known.tiers.get(shown.line.tier, ""),
        price=words.money(shown.line.price_minor, shown.line.currency),
        order=ticket.order,
        holder="",
        organiser=known.organiser.name,
        note=t("ticket.note"),
        labels=labels(words),
        language=words.tag,
        direction=words.direction,
        motif=event.motif,
        ticket_id=ticket.id,
        event_id=event.id,
        starts_ms=event.starts_ms,
    )
