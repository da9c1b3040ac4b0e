"""End an impersonated session as soon as it is no longer the active one.

For django-hijack, django-loginas, django-su and a project's own "login as". All of them call
Django's ``login()`` to sign the administrator in as the other user, and again to go back. Under
multisession the first call adds an account, and nothing ends it when the administrator goes back.
With this app in INSTALLED_APPS an impersonated account is removed from the browser as soon as
another account becomes active: by a release, a switch or another sign-in. Signing out of it removes
it from the browser's list, too.

The app depends on none of the packages and replaces none of their URLs or views. It recognises an
impersonated session by the mark in its data (see ``multisession.ground.impersonation``). The audit
trail names the administrator with or without this app.
"""
