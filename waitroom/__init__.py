"""The line: rooms, tickets, the draw, what is called, the waiting page and the journal.

Everything up to *called* lives here; who is admitted is the law of ``admission``.
"""
