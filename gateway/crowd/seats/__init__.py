"""Seats: what a fan does in a shop that sells them, once admitted; and checks of what the shop said.

A fan comes with an *errand* (``plan.Errand``), told as a short story in ``stories`` that ends with an ``Ending``. What
all fans know of the shop is in ``hall``, single acts on the wire are in ``buying``, the stream of changes in
``following``. Facts are ``noted`` as they were told; what they mean is for ``checks`` to say.

An origin that answers ``/api/events`` with events on sale is such a shop; before any other the fans only look at pages.
Not here: a simulated shop, and any insight into a real one. Everything is asked for over HTTP.
"""
