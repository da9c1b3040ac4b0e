import datetime
import json
from unittest import mock

from story.stories import _told, story

#: The clock shows half past one twice in this night.
FIRST = datetime.datetime(2030, 11, 3, 1, 45)
HALF_AN_HOUR_LATER = datetime.datetime(2030, 11, 3, 1, 15)


@story(ours=True)
def the_night_when_an_hour_comes_twice(site):
    browser = site.browser()
    with mock.patch("django.utils.timezone.now", return_value=FIRST):
        browser.sign_in("ada")
    with mock.patch("django.utils.timezone.now", return_value=HALF_AN_HOUR_LATER):
        yield "still signed in", browser.who(), "ada"
        browser.add_account("grace")
        yield "added", (browser.who(), browser.accounts()), ("grace", ["ada", "grace"])
        page = browser.open("/multisession/sessions/")
        yield "where", page.status, 200
        told = json.loads(_told("listsessions", user=str(site.user("ada").pk), json=True))
        yield "listed", told["data"][0]["status"], "active"
