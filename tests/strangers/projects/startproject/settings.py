"""What ``startproject`` makes, with Django's own pages for accounts."""

from mysite.settings import *
