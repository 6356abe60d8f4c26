"""answer, signal: what a refusal tells."""

from __future__ import annotations

import pytest
from django.utils import timezone

from executions import transitions
from executions.models import Question
from executions.transitions import Refused, answering
from tests.executions.lives import running
from tests.make import a_question

pytestmark = pytest.mark.django_db


def test_whoever_answers_second_is_told_what_can_be_asked_now() -> None:
    _, claim = running()
    transitions.ask(claim, asked=a_question(), now=timezone.now())
    question = Question.objects.get()
    transitions.answer(question.pk, value="yes", now=timezone.now(), actor="user:mira")
    with pytest.raises(Refused) as refused:
        transitions.answer(question.pk, value="no", now=timezone.now(), actor="user:jonas")
    assert (refused.value.code, refused.value.allowed) == ("answered", ["cancel", "pause", "signal", "terminate"])


def test_a_signal_too_many_is_told_what_can_be_asked_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MOST_SIGNALS", 1)
    execution, _ = running()
    transitions.signal(execution.pk, name="paid", value=1, now=timezone.now(), actor="user:mira")
    with pytest.raises(Refused) as refused:
        transitions.signal(execution.pk, name="paid", value=2, now=timezone.now(), actor="user:mira")
    assert refused.value.code == "too_many_signals"
    assert "cancel" in refused.value.allowed
