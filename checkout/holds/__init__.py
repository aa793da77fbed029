"""Holds: a hall in the store, seats put aside for a time, and the best that is free; with the hall's Lua scripts."""
