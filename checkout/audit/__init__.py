"""Audit: what must be true of a sale, checked over records, store and database."""
