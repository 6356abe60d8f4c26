from django.urls import URLPattern, URLResolver, include, path

from workers import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("workers/", views.workers, name="workers"),
    path("workers/queues/<slug:name>/pause/", views.queue, {"act": "pause"}, name="queue-pause"),
    path("workers/queues/<slug:name>/resume/", views.queue, {"act": "resume"}, name="queue-resume"),
    path("workers/queues/<slug:name>/limit/", views.queue, {"act": "limit"}, name="queue-limit"),
    path("api/v1/", include("workers.api")),
]
