"""The drills: hard days of a sale, played with real fans on a whole installation.

``python -m bench.drills NAME`` starts `waitroom demo` in a folder of its own, sends it a crowd and writes one JSON line
for each result. A figure is measured and told; a drill is **passed or not**: each line has a target, and the command
ends with 1 when one is missed. Not here: losing the store (the figure ``flush-places-lost``), the crowd itself
(``gateway.crowd``).
"""
