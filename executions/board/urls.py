from django.urls import path

from executions.board import acting, again, execution, launching, listing, log, questions, schedules, task, views

urlpatterns = [
    path("", views.board, name="board"),
    path("board/move/", views.move, name="board-move"),
    path("executions/", listing.executions, name="executions"),
    path("executions/<uuid:pk>/", execution.execution, name="execution"),
    path("executions/<uuid:pk>/live/", execution.live, name="execution-live"),
    path("executions/<uuid:pk>/events/", execution.events, name="execution-events"),
    path("executions/<uuid:pk>/log/", log.log, name="log"),
    path("executions/<uuid:pk>/log.txt", log.log_text, name="log-text"),
    path("executions/<uuid:pk>/input.json", execution.value, {"name": "input"}, name="input"),
    path("executions/<uuid:pk>/output.json", execution.value, {"name": "output"}, name="output"),
    path("executions/<uuid:pk>/error.json", execution.value, {"name": "error"}, name="error"),
    path("executions/<uuid:pk>/cancel/", acting.act, {"verb": "cancel"}, name="cancel"),
    path("executions/<uuid:pk>/pause/", acting.act, {"verb": "pause"}, name="pause"),
    path("executions/<uuid:pk>/terminate/", acting.act, {"verb": "terminate"}, name="terminate"),
    path("executions/<uuid:pk>/resume/", acting.resume, name="resume"),
    path("executions/<uuid:pk>/again/", again.again, name="again"),
    path("executions/<uuid:pk>/retry/", again.retry, name="retry"),
    path("questions/", questions.inbox, name="questions"),
    path("questions/<uuid:pk>/", questions.question, name="question"),
    path("questions/<uuid:pk>/answer/", questions.answer, name="answer"),
    path("schedules/", schedules.schedules_page, name="schedules"),
    path("schedules/<slug:name>/pause/", schedules.schedule, {"act": "pause"}, name="schedule-pause"),
    path("schedules/<slug:name>/resume/", schedules.schedule, {"act": "resume"}, name="schedule-resume"),
    path("tasks/<slug:slug>/", task.task, name="task"),
    path("tasks/<slug:slug>/run/", launching.launch, name="launch"),
]
