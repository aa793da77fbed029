"""Shards: which database and store an event lives in, and how it moves."""
