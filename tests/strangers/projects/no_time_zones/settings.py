"""Naive times, in a zone with daylight saving."""

from mysite.settings import *

USE_TZ = False
TIME_ZONE = "America/New_York"
