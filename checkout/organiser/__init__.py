"""Organiser: imports, changes in bulk, reports, and the interface of whoever sells by this shop."""
