"""Programme: the pages of the half of the office that looks after events: what there is, and not how much is sold.

Events and their prices, houses and seating plans, what is blocked, doors, staff, and what is kept of people. Each page
stands in its own module. Not here: sales, orders, money (the other half).
"""

from collections.abc import Sequence

from checkout.backoffice import (
    doors_pages,
    events_pages,
    hall_pages,
    new_event_pages,
    people_pages,
    prices_pages,
    team_pages,
    venues_pages,
)
from checkout.backoffice.visit import Page

PAGES: Sequence[Page] = (
    *venues_pages.PAGES,
    *new_event_pages.PAGES,
    *events_pages.PAGES,
    *hall_pages.PAGES,
    *prices_pages.PAGES,
    *doors_pages.PAGES,
    *people_pages.PAGES,
    *team_pages.PAGES,
)
