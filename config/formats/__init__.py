"""Dates and times, where Django has no format for a language."""
