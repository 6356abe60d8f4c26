"""`?wait=`: the answer is held until the execution has ended, or the time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from executions import transitions
from executions.states import State
from tests.api import Api, api_for
from tests.make import make_execution

A_LONG_TIME = 20  # seconds, within which a test's machine does everything else


@pytest.mark.django_db
@pytest.mark.parametrize("said", ["x", "-1", "", "1e", "٣", "%00", "nan", "inf"])
def test_a_time_that_is_none_is_refused(api: Api, said: str) -> None:
    answer = api("GET", f"executions/{make_execution().pk}/?wait={said}")
    assert (answer.status, answer.places) == (422, ["/wait"])


@pytest.mark.django_db
def test_what_has_ended_is_not_waited_for(api: Api) -> None:
    execution = make_execution(state=State.COMPLETED)
    began = time.monotonic()
    assert api.get(f"executions/{execution.pk}/?wait=60")["state"] == "completed"
    assert time.monotonic() - began < A_LONG_TIME


@pytest.mark.django_db
def test_when_the_time_is_up_it_is_told_as_it_is(api: Api) -> None:
    execution = make_execution()
    began = time.monotonic()
    assert api.get(f"executions/{execution.pk}/?wait=0.3")["state"] == "pending"
    assert time.monotonic() - began >= 0.3


@pytest.mark.django_db
def test_nobody_waits_without_the_right_to_see(mira: User) -> None:
    execution = make_execution()
    for api, status in ((Api(), 401), (api_for(mira, "submit"), 403)):
        began = time.monotonic()
        assert api("GET", f"executions/{execution.pk}/?wait=60").status == status
        assert time.monotonic() - began < A_LONG_TIME


@pytest.fixture
async def thread_of_requests() -> AsyncIterator[None]:
    """Requests of this test share a thread; its connection goes when the test goes."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.mark.django_db(transaction=True)
async def test_the_answer_comes_when_it_ends(api: Api, thread_of_requests: None) -> None:
    execution = await sync_to_async(make_execution)()
    asking = asyncio.create_task(
        AsyncClient().get(
            f"/api/v1/executions/{execution.pk}/?wait=60", headers={"Authorization": f"Bearer {api.secret}"}
        )
    )
    await asyncio.sleep(0.3)
    assert not asking.done()
    began = time.monotonic()
    await sync_to_async(transitions.cancel)(execution.pk, now=timezone.now(), actor="user:mira")
    response = await asking
    assert response.json()["state"] == "cancelled"
    assert time.monotonic() - began < A_LONG_TIME
