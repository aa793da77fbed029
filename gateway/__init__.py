"""Gateway: puts it all together: the gate before the origin, settings, processes, the command line."""
