"""Formats of dates and times that Django lacks for a language."""
