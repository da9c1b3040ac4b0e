"""An administrator who acts as somebody else stops doing so for certain.

For django-hijack, django-loginas, django-su and a project's own "login as". All of them sign the
administrator in as the other user with Django's ``login()``, and back again. Under multisession the
first adds the other user's account beside the administrator's own; but nothing then ends it when
the administrator goes back. With this app in INSTALLED_APPS an impersonated account is signed in
only while it is the active one: whatever takes its place (release, a switch in the menu, a further
sign-in) takes it off the browser, and signing out of it leaves nothing on the browser's list.

None of the packages has to be installed, and none of their URLs or views have to be replaced: an
impersonated session is known by the mark in its data (see ``multisession.ground.impersonation``).
Who acted is on record without this app, too.
"""
