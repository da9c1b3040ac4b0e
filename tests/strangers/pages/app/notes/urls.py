from django.urls import path

from notes import views

urlpatterns = [
    *[
        path(f"{page}/", views.show, {"page": page}, name=page)
        for page in ("jquery3", "jquery4", "htmx2", "htmx4", "fetch", "beacon", "spa")
    ],
    *[
        path(f"{page}/", views.form, {"page": page}, name=page)
        for page in ("plain", "turbo", "frame")
    ],
    path("inertia/", views.inertia),
    path("api/notes/", views.Notes.as_view()),
    path("save/<page>/", views.save, name="save"),
    path("fragment/<page>/", views.fragment, name="fragment"),
]
