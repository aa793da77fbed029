"""Sales: the durable reservation, and what mends a store or a database that disagrees with the other."""
