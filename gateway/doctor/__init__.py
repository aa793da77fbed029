"""Doctor: looks at an installation from beside it, says what is wrong and what to do, and packs that for support."""
