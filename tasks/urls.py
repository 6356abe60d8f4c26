from django.urls import URLPattern, URLResolver, include, path

from tasks import views

pages = [
    path("tasks/", views.library, name="library"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((pages, "tasks"))),
    path("api/v1/", include("tasks.api.urls")),
]
