"""Catalogue: organisers, venues, events, prices, windows and allocations; lists, search and details."""
