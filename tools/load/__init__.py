"""Run browsers with several tabs against real servers, and check what they see: ``make load``.

docs/explanation/load.md describes the run and its output.
"""
