"""Several accounts in Django's admin: put this in INSTALLED_APPS in place of its own name.

``"multisession.contrib.admin"`` instead of ``"django.contrib.admin"`` makes ``admin.site`` an
``AdminSite`` of ``sites.py``. For a site of your own, derive it from ``AccountsMixin``.
"""
