"""Browsers with several tabs each against real servers, and a check of what they may see.

``make load``; docs/explanation/load.md says what it does and how to read what it prints.
"""
