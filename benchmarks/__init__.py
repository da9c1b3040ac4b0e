"""What sessions cost: ours beside Django's own and beside other packages.

``make bench`` runs every comparison; docs/explanation/performance.md says how to read them.
"""
