"""The addresses of the websockets; every other one is refused."""

from django.urls import URLPattern, path, re_path

from executions.realtime.consumers import BoardConsumer, ExecutionConsumer, NowhereConsumer

websocket_urlpatterns: list[URLPattern] = [
    path("ws/board/", BoardConsumer.as_asgi()),
    path("ws/executions/<uuid:pk>/", ExecutionConsumer.as_asgi()),
    re_path("", NowhereConsumer.as_asgi()),
]
