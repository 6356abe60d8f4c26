from django.urls import URLPattern, URLResolver, include, path

from workers import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("workers/", views.workers, name="workers"),
    path("api/v1/", include("workers.api")),
]
