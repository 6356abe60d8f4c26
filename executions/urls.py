from django.urls import URLPattern, URLResolver, include, path

from executions.realtime import views as realtime

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("executions.board.urls")),
    path("api/v1/", include("executions.api.urls")),
    path("board/changes/", realtime.board_changes, name="board-changes"),
    path("executions/<uuid:pk>/changes/", realtime.execution_changes, name="execution-changes"),
]
