"""Model: boosted trees as plain numbers, scored without any library."""
