from django.urls import path

from executions.board import views

urlpatterns = [
    path("", views.board, name="board"),
]
