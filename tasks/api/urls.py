"""Addresses under /api/v1/ that are about what may run."""

from django.urls import path

from tasks.api import plans, tasks

urlpatterns = [
    path("tasks/", tasks.Tasks.as_view()),
    path("tasks/<slug:slug>/", tasks.OneTask.as_view()),
    path("tasks/<slug:slug>/versions/", tasks.Versions.as_view()),
    path("tasks/<slug:slug>/versions/<int:number>/", tasks.OneVersion.as_view()),
    path("plans/", plans.Plans.as_view()),
    path("plans/<int:pk>/", plans.OnePlan.as_view()),
]
