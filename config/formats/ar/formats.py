"""Arabic: Django has no format for a date with its time."""

DATETIME_FORMAT = "j F Y، g:i A"
