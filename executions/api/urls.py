"""Addresses under /api/v1/ that are about what happened."""

from django.urls import path

from executions.api import executions, exporting, parts, questions, queues, schedules, verbs

urlpatterns = [
    path("executions/", executions.Executions.as_view()),
    path("executions/batch/", executions.ExecutionsBatch.as_view()),
    path("executions/<uuid:pk>/", executions.held_until_final(executions.OneExecution.as_view())),
    path("executions/<uuid:pk>/export/", exporting.ExportExecution.as_view()),
    path("executions/<uuid:pk>/events/", parts.Events.as_view()),
    path("executions/<uuid:pk>/logs/", parts.Logs.as_view()),
    path("executions/<uuid:pk>/steps/", parts.Steps.as_view()),
    path("executions/<uuid:pk>/questions/", parts.Questions.as_view()),
    path("executions/<uuid:pk>/children/", parts.Children.as_view()),
    path("executions/<uuid:pk>/attempts/", parts.Attempts.as_view()),
    path("executions/<uuid:pk>/waits/", parts.Waits.as_view()),
    path("executions/<uuid:pk>/signals/", parts.Signals.as_view()),
    path("executions/<uuid:pk>/cancel/", verbs.CancelExecution.as_view()),
    path("executions/<uuid:pk>/pause/", verbs.PauseExecution.as_view()),
    path("executions/<uuid:pk>/resume/", verbs.ResumeExecution.as_view()),
    path("executions/<uuid:pk>/terminate/", verbs.TerminateExecution.as_view()),
    path("executions/<uuid:pk>/retry/", verbs.RetryExecution.as_view()),
    path("executions/<uuid:pk>/signal/", verbs.SignalExecution.as_view()),
    path("questions/", questions.Questions.as_view()),
    path("questions/<uuid:pk>/", questions.OneQuestion.as_view()),
    path("questions/<uuid:pk>/answer/", questions.AnswerQuestion.as_view()),
    path("queues/", queues.Queues.as_view()),
    path("queues/<slug:slug>/", queues.OneQueue.as_view()),
    path("queues/<slug:slug>/pause/", queues.PauseQueue.as_view()),
    path("queues/<slug:slug>/resume/", queues.ResumeQueue.as_view()),
    path("schedules/", schedules.Schedules.as_view()),
    path("schedules/<slug:slug>/", schedules.OneSchedule.as_view()),
    path("schedules/<slug:slug>/pause/", schedules.PauseSchedule.as_view()),
    path("schedules/<slug:slug>/resume/", schedules.ResumeSchedule.as_view()),
    path("schedules/<slug:slug>/firings/", schedules.Firings.as_view()),
]
