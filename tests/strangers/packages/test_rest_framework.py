"""Django REST framework's browsable API, with its own login and logout at /api-auth/."""

import re
from pathlib import Path

from tests.strangers import bench
from tests.strangers.packages.site import ADA, GRACE, SETTINGS, URLS, Site, append, button
from tests.strangers.packages.stories import AllStories, switch
from tests.strangers.packages.web import Browser, Page

#: The project of the framework's own Quickstart, in one file.
API = """
from django.contrib.auth.models import User
from django.urls import include
from rest_framework import permissions, routers, serializers, viewsets


class UserSerializer(serializers.HyperlinkedModelSerializer):
    class Meta:
        model = User
        fields = ["url", "username", "email", "first_name"]


class UserViewSet(viewsets.ModelViewSet):
    queryset = User.objects.order_by("pk")
    serializer_class = UserSerializer
    permission_classes = [permissions.IsAuthenticated]


router = routers.DefaultRouter()
router.register("users", UserViewSet)
urlpatterns += [
    path("", include(router.urls)),
    path("api-auth/", include("rest_framework.urls", namespace="rest_framework")),
]
"""


class RestFramework(Site):
    package = "rest-framework"
    private = "/users/"
    sign_in_page = "/api-auth/login/"
    page_to_sign_out = "/"

    def make(self, place: Path) -> None:
        bench.start_project(self.python, place)
        append(
            place / SETTINGS,
            'INSTALLED_APPS += ["rest_framework"]\n'
            'LOGIN_URL = "rest_framework:login"\n'
            'LOGIN_REDIRECT_URL = "/"\n'
            'TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]\n',
        )
        append(place / URLS, API)

    def finish(self, place: Path) -> None:
        # Where the framework's own documentation puts such things: "Customizing".
        template = place / "templates" / "rest_framework" / "api.html"
        template.parent.mkdir(parents=True)
        template.write_text(
            '{% extends "rest_framework/base.html" %}\n'
            f"{{% block userlinks %}}{{{{ block.super }}}}{button()}{{% endblock %}}\n",
            encoding="utf-8",
        )

    def turned_away(self, browser: Browser) -> Page:
        """The API answers 403, on a page with a link."""
        page = browser.get(self.private)
        assert page.status == 403, page
        assert page.leads_to(self.sign_in_page), page
        return browser.get(f"{self.sign_in_page}?next={self.private}")

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        return (page or browser.get("/")).form("/api-auth/logout/").submit()

    def who(self, browser: Browser) -> str | None:
        page = browser.peek("/")
        found = re.search(r'dropdown-toggle"[^>]*>\s*(\w+)\s*<b class="caret">', page.html)
        return found[1] if found else None


class TestRestFramework(AllStories):
    Site = RestFramework

    def test_a_form_of_the_api_writes_as_its_own_account_or_not_at_all(self, site, both):
        form = both.get("/users/").form("/users/", has="email")
        switch(both, ADA)
        page = form.submit(username="linus")
        assert page.status in (403, 409), page
        assert "linus" not in both.get("/users/").text
        switch(both, GRACE)
        page = form.submit(username="linus")
        assert page.status == 201, page

    def test_the_links_of_the_framework_lead_in_and_out(self, site, new_browser):
        browser = new_browser()
        page = browser.get("/")
        assert page.leads_to(site.sign_in_page), page
        site.sign_in(browser, ADA)
        assert not browser.get("/").leads_to(site.sign_in_page)
