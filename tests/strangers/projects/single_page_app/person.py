import json

from django.conf import settings
from django.urls import reverse

from story import person


class Person(person.Person):
    def sign_in(self, name, page=None, *, password=person.PASSWORD):
        if page is None:
            self.sign_in_page()
        return self.by_script("api_login", {"username": name, "password": password})

    def sign_out(self):
        return self.by_script("api_logout", {})

    def by_script(self, url, data):
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers["x-csrftoken"] = self.cookies.get(settings.CSRF_COOKIE_NAME) or ""
        return self.send("POST", reverse(url), json.dumps(data).encode(), headers)
