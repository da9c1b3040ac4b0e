from django.test import override_settings

from story.stories import story


@story()
def the_domain_changes_while_somebody_is_signed_in(site):
    browser = site.browser()
    with override_settings(SESSION_COOKIE_DOMAIN=None):
        browser.sign_in("ada")
    yield "still signed in", browser.who(), "ada"
    page = browser.sign_out()
    yield "signed out", (page.status, browser.who()), (200, None)
    page = browser.sign_in("grace")
    yield "signed in", (page.status, browser.who()), (200, "grace")
    page = browser.sign_out()
    yield "signed out again", (page.status, browser.who()), (200, None)
