"""Live: the seat map as it changes, for any number of viewers with one read of the store."""
