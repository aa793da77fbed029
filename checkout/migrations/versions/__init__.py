"""One file for each step, named by its number; Alembic finds them by ``down_revision``."""
