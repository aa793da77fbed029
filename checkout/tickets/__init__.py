"""Tickets: what lets a buyer into the hall: one for each paid seat, signed, read by a scanner without a network.

Not to be taken for the line's ticket, a place in a waiting room: that one is ``waitroom.ticket``.
"""
