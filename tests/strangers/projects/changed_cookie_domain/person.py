from django.conf import settings
from django.utils.crypto import get_random_string

from story import person


class Person(person.Person):
    def __init__(self, site, name="Firefox"):
        super().__init__(site, name, host="www.example.com")
        old = get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789")
        self.cookies.take(f"{settings.SESSION_COOKIE_NAME}={old}; Path=/", self.host)
