"""Arabic: the format of a date with time, which Django lacks."""

DATETIME_FORMAT = "j F Y، g:i A"
