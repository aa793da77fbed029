"""What is watched of a running installation: boards, objectives and alerts, in one table each.

`make docs` writes what Prometheus and Grafana read, and the pages for whoever is paged, from these tables (ADR-0045).
"""
