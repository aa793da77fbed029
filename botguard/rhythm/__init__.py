"""Rhythm: how a page is handled, as a small summary that grows with each event and keeps no trace."""
