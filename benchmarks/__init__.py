"""Compare the cost of sessions with this package, with Django's engines and with other packages.

``make bench`` runs every comparison; docs/explanation/performance.md explains the output.
"""
