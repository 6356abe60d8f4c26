"""Everything that workers, people and the clock may say to the door, in any order, early, late, twice and with dead claims.

A history is rolled back when it ends. Nothing after commit runs (no announcement, no prompt cascade), as if every process had
died there: what must happen happens by the sweep. Time passes by moving what is due towards the present.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, RuleBasedStateMachine, initialize, invariant, precondition, rule

from executions import families, queries, transitions
from executions.history.verifying import Verification
from executions.models import Execution, Question, Signal, Timer, Wait
from executions.retry import CRASH_BUDGET, ENVIRONMENT_BUDGET, Category
from executions.states import CLAIMABLE, FINAL, HELD, LIVE, Reason, State, WaitingFor
from executions.transitions import Again, Began, Child, Claim, Finished, Refused
from executions.transitions.ending import FREE_LOSSES
from tasks.models import Task
from tasks.schema import Invalid
from tests.machine.record import Broken, Record, Row
from tests.make import a_question, an_error, begin, make_task

ACTOR = "user:mira"
MOST_EXECUTIONS, MOST_LIVE = 20, 5
MAX_RETRIES = 2
TASKS = ("plain", "clocked", "quick")
QUEUES, OFFERS, QUICK = ("default",), ("python", "shell"), ("shell",)
SOON = timedelta(
    seconds=8
)  # shorter than the shortest jump: what is due in so little becomes due by a jump, never by itself

one_of_many = st.integers(0, 30)  # the newest is 0, so that a shrunk example speaks of the newest
seldom = st.sampled_from([False] * 3 + [True])
anywhere: st.SearchStrategy[frozenset[State]] = st.sampled_from(
    [HELD, HELD, *[frozenset({State.WAITING})] * 2, CLAIMABLE | {State.PAUSED}, frozenset(State)]
)


def make_tasks() -> None:
    """What histories are made of: a task without clocks, one with both, and one that claims take ahead."""
    retry = {"max_retries": MAX_RETRIES, "retry_interval": 5}
    make_task("plain", retry=retry)
    make_task("clocked", retry=retry, timeouts={"queue": 600, "execution": 3600})
    make_task("quick", retry=retry, runtime="shell")


class Door(RuleBasedStateMachine):
    """Rules speak to the door; the record says what must be true after each."""

    def __init__(self) -> None:
        super().__init__()
        self.rolled_back = transaction.atomic()
        self.rolled_back.__enter__()
        self.record = Record()
        self.claims: list[Claim] = []
        self.fired: list[int] = []
        self.still: set[UUID] = set()
        self.thawed: set[UUID] = set()
        self.expected: dict[UUID, Row] = {}
        self.keys = 0
        self.time_passed = False  # since the last tick

    # What every rule uses

    def new_key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    def some(self, place: int, *states: State) -> Row | None:
        """An execution in one of these states, the newest first."""
        rows = [row for row in reversed(self.record.rows.values()) if not states or row["state"] in states]
        return rows[place % len(rows)] if rows else None

    def some_claim(self, place: int, *, dead: bool) -> Claim | None:
        """One that holds its execution, as the record says; or one that does not, before all of what others hold now."""
        if not dead:
            known = [claim for claim in self.claims if self.holds(claim)]
            active = [claim for claim in known if self.record.rows[claim.execution_id]["state"] == State.RUNNING]
            known = active if active and place % 3 else known
        else:
            lost = [claim for claim in self.claims if not self.holds(claim)]
            known = sorted(lost, key=lambda claim: self.record.rows[claim.execution_id]["state"] in HELD)
        return known[-1 - place % len(known)] if known else None

    def holds(self, claim: Claim) -> bool:
        """By attempt, not by token: what the door goes by must not be what it is measured by."""
        row = self.record.rows[claim.execution_id]
        return row["state"] in HELD and row["attempt"] == claim.attempt

    def anything_due(self) -> bool:
        return any(_is_due(row) for row in self.record.rows.values())

    def anybody_works(self) -> bool:
        return any(row["state"] in HELD for row in self.record.rows.values())

    def anybody_lives(self) -> bool:
        return any(row["state"] in LIVE for row in self.record.rows.values())

    def has_room(self) -> bool:
        """For another execution: few at a time, so that much is said to each."""
        living = sum(row["state"] in LIVE for row in self.record.rows.values())
        return len(self.record.rows) < MOST_EXECUTIONS and living < MOST_LIVE

    def expect(self, row: Row, **fields: Any) -> None:
        self.expected[row["id"]] = fields

    def wants(self, row: Row, state: State, **fields: Any) -> None:
        """It goes to `state`, or is paused on its way there."""
        if row["pausing"] and state in (State.RESUMING, State.WAITING):
            fields, state = {**fields, "paused_from": state}, State.PAUSED
        self.expect(row, state=state, **fields)

    def wakes(self, row: Row) -> None:
        if row["state"] == State.PAUSED:
            self.expect(row, state=State.PAUSED, paused_from=State.RESUMING, waiting_for="")
        else:
            self.expect(row, state=State.RESUMING, waiting_for="")

    def speak(self, claim: Claim, do: Callable[[], Any], *, may: Iterable[State] = HELD) -> tuple[Row, Any] | None:
        """A worker says something: what came of it where its claim holds and the state allows it; else nothing may change."""
        row = self.record.rows[claim.execution_id]
        if self.holds(claim) and row["state"] in may:
            return row, do()
        self.still.add(claim.execution_id)
        with suppress(Refused):
            do()
        return None

    def demand(self, row: Row, do: Callable[[], Any], *, allowed: bool) -> Any:
        """A person asks for something: it is done, or refused and nothing changes."""
        if allowed:
            return do()
        self.still.add(row["id"])
        try:
            do()
        except Refused:
            return None
        raise Broken(f"{row['state']}: that should have been refused")

    # People

    @initialize(slug=st.sampled_from(TASKS))
    def first(self, slug: str) -> None:
        self.submit(slug, ttl=None, later=False)

    @precondition(lambda self: self.has_room())
    @rule(slug=st.sampled_from(TASKS), ttl=st.sampled_from([None, None, 60.0]), later=seldom)
    def submit(self, slug: str, ttl: float | None, later: bool) -> None:
        now = timezone.now()
        start_at = now + timedelta(seconds=30) if later else None
        transitions.submit(Task.objects.get(slug=slug), input={}, now=now, actor=ACTOR, ttl=ttl, start_at=start_at)

    @precondition(lambda self: self.has_room())
    @rule(slug=st.sampled_from(TASKS), count=st.integers(1, 3), wrong=seldom)
    def submit_all(self, slug: str, count: int, wrong: bool) -> None:
        """All of them or none."""
        inputs: list[Any] = [{"n": n} for n in range(count)] + [{"n": "\x00"}] * wrong
        try:
            made = transitions.submit_all(Task.objects.get(slug=slug), inputs, now=timezone.now(), actor=ACTOR)
        except Invalid:
            if wrong and Execution.objects.count() == len(self.record.rows):
                return
            raise Broken(f"of {inputs}, some were made") from None
        numbers = [execution.number for execution in made]
        if wrong or len(numbers) != count or numbers != sorted(set(numbers)):
            raise Broken(f"{inputs} became {numbers}")

    @precondition(lambda self: self.has_room())
    @rule(n=st.integers(0, 1), key=st.sampled_from(["a", "b"]))
    def submit_under_a_key(self, n: int, key: str) -> None:
        def do(value: int) -> transitions.Submission:
            return transitions.submit(Task.objects.get(slug="plain"), input={"n": value}, now=timezone.now(), actor=ACTOR,
                                      idempotency_key=key)  # fmt: skip

        earlier = next((row for row in self.record.rows.values() if row["idempotency_key"] == key), None)
        if earlier is None:
            made = do(n)
            if do(n).execution.pk != made.execution.pk:
                raise Broken("one key made two executions")
        elif earlier["input"] == f'{{"n":{n}}}':
            self.still.add(earlier["id"])
            if do(n).execution.pk != earlier["id"]:
                raise Broken("a key was replayed as another execution")
        else:
            self.demand(earlier, lambda: do(n), allowed=False)

    @precondition(anybody_lives)
    @rule(place=one_of_many, among=anywhere)
    def cancel(self, place: int, among: frozenset[State]) -> None:
        row = self.some(place, *among) or self.some(place)
        if row is None:
            return
        live = row["state"] in LIVE - {State.CANCELLING}
        self.demand(row, lambda: transitions.cancel(row["id"], now=timezone.now(), actor=ACTOR), allowed=live)
        if live:
            self.expect(row, state=State.CANCELLING if row["state"] in HELD else State.CANCELLED)

    @precondition(lambda self: self.anybody_lives() and len(self.record.rows) > 3)
    @rule(place=one_of_many, among=anywhere)
    def terminate(self, place: int, among: frozenset[State]) -> None:
        row = self.some(place, *among) or self.some(place)
        if row is None:
            return
        live = row["state"] in LIVE
        self.demand(row, lambda: transitions.terminate(row["id"], now=timezone.now(), actor=ACTOR, reason="because"),
                    allowed=live)  # fmt: skip
        if live:
            self.expect(row, state=State.TERMINATED)

    @precondition(anybody_lives)
    @rule(place=one_of_many, among=anywhere)
    def pause(self, place: int, among: frozenset[State]) -> None:
        row = self.some(place, *among) or self.some(place)
        if row is None:
            return
        frozen = row["pausing"] or row["state"] == State.PAUSED
        live = row["state"] in LIVE - {State.CANCELLING} and not frozen
        self.demand(row, lambda: transitions.pause(row["id"], now=timezone.now(), actor=ACTOR), allowed=live)
        if live and row["state"] in HELD:
            self.expect(row, state=row["state"], pausing=True)
        elif live:
            self.expect(row, state=State.PAUSED, paused_from=row["state"], waiting_for=row["waiting_for"])

    @precondition(lambda self: any(row["pausing"] or row["paused_from"] for row in self.record.rows.values()))
    @rule(place=one_of_many, frozen=st.sampled_from([True] * 3 + [False]))
    def resume(self, place: int, frozen: bool) -> None:
        row = self.some(place, State.PAUSED) if frozen else self.some(place)
        if row is None:
            return
        may = row["state"] == State.PAUSED or row["pausing"]
        if row["state"] == State.PAUSED:
            self.thawed.add(row["id"])
            self.expect(row, state=row["paused_from"], paused_from="", waiting_for=row["waiting_for"])
        elif may:
            self.expect(row, state=row["state"], pausing=False)
        self.demand(row, lambda: transitions.resume(row["id"], now=timezone.now(), actor=ACTOR), allowed=may)

    @precondition(lambda self: any(self.record.questions.values()))
    @rule(place=one_of_many, value=st.sampled_from(["yes", "no", "perhaps"]), late=seldom)
    def answer(self, place: int, value: str, late: bool) -> None:
        """In time or late, and with words that are no answer too."""
        questions = [question for some in self.record.questions.values() for question in some]
        still_open = [question for question in questions if question["state"] == Question.State.OPEN]
        if still_open and not late:
            questions = still_open
        question = questions[-1 - place % len(questions)]
        row = self.record.rows[question["execution_id"]]

        def do() -> Execution:
            return transitions.answer(question["id"], value=value, now=timezone.now(), actor=ACTOR)

        is_open = question["state"] == Question.State.OPEN
        if is_open and value == "perhaps":
            self.still.add(row["id"])
            with suppress(Invalid):
                do()
            return
        self.demand(row, do, allowed=is_open)
        if is_open:
            self.wakes(row)
            with suppress(Refused):  # the second person is told, and nothing comes of it
                transitions.answer(question["id"], value="no", now=timezone.now(), actor="user:boss")
                raise Broken("a question was answered twice")

    @precondition(anybody_lives)
    @rule(place=one_of_many, name=st.sampled_from(["paid", "sent"]), key=st.sampled_from([None, None, "once"]))
    def signal(self, place: int, name: str, key: str | None) -> None:
        row = self.some(place)
        if row is None:
            return
        pk = row["id"]
        again = key is not None and Signal.objects.filter(execution=pk, name=name, key=key).exists()
        self.demand(row, lambda: transitions.signal(pk, name=name, value=1, key=key, now=timezone.now(), actor=ACTOR),
                    allowed=row["state"] in LIVE)  # fmt: skip
        if row["state"] not in LIVE:
            return
        if again:
            self.still.add(pk)
        elif any(wait["finished_at"] is None and wait["name"] == name for wait in self.record.waits.get(pk, [])):
            self.wakes(row)
        else:
            self.expect(row, state=row["state"])
            if not Signal.objects.filter(execution=pk, name=name, taken_by=None).exists():
                raise Broken("a signal that came early was not kept")

    @precondition(lambda self: any(self.awaited(row) for row in self.record.rows.values()))
    @rule(place=one_of_many)
    def come(self, place: int) -> None:
        """What somebody waits for comes: an answer, a signal, or the moment; children come by themselves."""
        rows = [row for row in reversed(self.record.rows.values()) if self.awaited(row)]
        row = rows[place % len(rows)]
        opened = self.awaited(row)
        if row["waiting_for"] == WaitingFor.ANSWER:
            transitions.answer(opened["id"], value="yes", now=timezone.now(), actor=ACTOR)
            self.wakes(row)
        elif row["waiting_for"] == WaitingFor.SIGNAL:
            transitions.signal(row["id"], name=opened["name"], value=1, now=timezone.now(), actor=ACTOR)
            self.wakes(row)
        else:
            for timer in [timer for timer in self.record.timers[row["id"]] if timer["wait_id"] == opened["id"]]:
                self._fire(timer["id"])

    def awaited(self, row: Row) -> Row:
        """The open question of an execution, or its open wait for anything but children; empty where there is none."""
        questions = [one for one in self.record.questions.get(row["id"], []) if one["state"] == Question.State.OPEN]
        waits = [one for one in self.record.waits.get(row["id"], [])
                 if one["finished_at"] is None and one["kind"] != WaitingFor.CHILDREN]  # fmt: skip
        return next(iter(questions + waits), {})

    @precondition(lambda self: self.has_room()
                  and any(row["state"] in FINAL for row in self.record.rows.values()))  # fmt: skip
    @rule(place=one_of_many, how=st.sampled_from(["retry", "resume", "from_step", "fork"]), ended=st.booleans())
    def rerun(self, place: int, how: str, ended: bool) -> None:
        row = self.some(place, *FINAL) if ended else self.some(place)
        if row is None:
            return
        again = self._again(row, how)
        new = self.demand(row, lambda: transitions.rerun(row["id"], again=again, now=timezone.now(), actor=ACTOR),
                          allowed=row["state"] in FINAL)  # fmt: skip
        if new is not None and (new.lineage, new.state, new.input) != (row["lineage"], State.PENDING, row["input"]):
            raise Broken(f"run {new.run} is {new.state} of {new.lineage}, with {new.input}")

    def _again(self, row: Row, how: str) -> Again:
        steps = [step for step in self.record.steps.get(row["id"], []) if step["kind"] == "step"]
        answered = [question for question in self.record.questions.get(row["id"], []) if question["answer"] is not None]
        if how == "from_step" and steps:
            return Again(from_step=steps[-1]["key"])
        if how == "fork" and answered:
            return Again(question=answered[-1]["id"], answer="no")
        return Again(resume=how == "resume")

    # Workers

    @precondition(lambda self: any(row["state"] in CLAIMABLE for row in self.record.rows.values()))
    @rule(worker=st.sampled_from(["w1", "w2"]), most=st.integers(1, 4), ahead=st.sampled_from([0, 0, 2]))
    def claim(self, worker: str, most: int, ahead: int) -> None:
        self._claim(worker, most, ahead)

    @precondition(lambda self: self.anything_due())
    @rule(worker=st.sampled_from(["w1", "w2"]), most=st.integers(1, 3))
    def work(self, worker: str, most: int) -> None:
        """Claim and start: without it, most of a history would be spent before anybody's code runs."""
        for claim in self._claim(worker, most):
            self._look()
            begin(claim)
            self.expect(self.record.rows[claim.execution_id], state=State.RUNNING)

    def _claim(self, worker: str, most: int, ahead: int = 0) -> list[Claim]:
        due = {row["id"]: row["requires"] for row in self.record.rows.values() if _is_due(row)}
        taken = transitions.claim(worker, incarnation=1, queues=QUEUES, offers=OFFERS, now=timezone.now(), most=most,
                                  ahead=ahead, quick=QUICK)  # fmt: skip
        left = due.keys() - {claim.execution_id for claim in taken}
        further = taken[most:]
        if len(taken) + len(left) != len(due) or (left and len(taken) < most):
            raise Broken(f"claimed {taken}, of what was due: {due}")
        if any(due[claim.execution_id] not in QUICK for claim in further) or len(further) > ahead:
            raise Broken(f"claimed ahead {further}, of what was due: {due}")
        if len(further) < ahead and any(due[pk] in QUICK for pk in left):
            raise Broken(f"claimed ahead {further} only, of what was due: {due}")
        for claim in taken:
            row = self.record.rows[claim.execution_id]
            self.expect(row, state=State.PREPARING, token=claim.token, worker=worker, attempt=row["attempt"] + 1)
            if claim.token <= row["token"]:
                raise Broken(f"a claim with the token {claim.token} after {row['token']}")
        self.claims += taken
        return taken

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom)
    def start(self, place: int, dead: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        if spoken := self.speak(claim, lambda: begin(claim), may={State.PREPARING}):
            self.expect(spoken[0], state=State.RUNNING, pausing=spoken[0]["pausing"])

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, key=st.sampled_from(["a", "b", "c"]), value=st.integers(0, 1), twice=seldom)
    def step(self, place: int, dead: bool, key: str, value: int, twice: bool) -> None:
        """A new key, a recorded one with the same or another value, and the same again."""
        claim = self.some_claim(place, dead=dead)
        if claim is None:
            return

        def do() -> str:
            return transitions.step(
                claim, key=key, occurrence=0, input_hash="", value=value, seconds=0, now=timezone.now()
            )

        known = [s for s in self.record.steps.get(claim.execution_id, []) if (s["kind"], s["key"]) == ("step", key)]
        if known and (known[0]["attempt"], known[0]["value"]) != (claim.attempt, str(value)):
            self.still.add(claim.execution_id)
            with suppress(Refused):
                do()
                raise Broken(f"{known[0]} was recorded again as {value}")
        elif spoken := self.speak(claim, do):
            self._acknowledged(*spoken, forgives=not known)
            if twice:
                with suppress(Refused):
                    do()

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom)
    def checkpoint(self, place: int, dead: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        if spoken := self.speak(claim, lambda: transitions.checkpoint(claim, name="at", value=1, now=timezone.now())):
            self._acknowledged(*spoken, forgives=True)

    def _acknowledged(self, row: Row, then: str, *, forgives: bool) -> None:
        """Go on, unless a cancel or a pause was asked; what was recorded anew forgives earlier losses."""
        if row["state"] == State.CANCELLING:
            verdict, state = "cancel", State.CANCELLING
        elif row["pausing"] and row["state"] == State.RUNNING:
            verdict, state = "pause", State.PAUSED
        else:
            verdict, state = "go", State(row["state"])
        self.expect(row, state=state, losses=0 if forgives else row["losses"])
        if then != verdict:
            raise Broken(f"{row['state']}: told to {then}, not to {verdict}")

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, fraction=st.sampled_from([None, 0.05, 0.3, 1.0]))
    def chat(self, place: int, dead: bool, fraction: float | None) -> None:
        """A log line, progress and a divergence: none of it moves anything."""
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        now = timezone.now()
        for do in (
            lambda: transitions.log(
                claim, lines=[(now.timestamp(), "stdout", "info", "hello")], message="hello", now=now
            ),
            lambda: transitions.progress(claim, fraction=fraction, message="on", now=now),
            lambda: transitions.diverged(claim, key="a", occurrence=0, recorded="x", met="y", policy="use", now=now),
        ):
            if spoken := self.speak(claim, do):
                self.expect(spoken[0], state=spoken[0]["state"], token=claim.token)

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, deadline=st.booleans(), default=st.booleans(), twice=seldom)
    def ask(self, place: int, dead: bool, deadline: bool, default: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        now = timezone.now()
        asked = a_question(key=self.new_key(), deadline=now + timedelta(seconds=60) if deadline else None, default="no",
                           has_default=default)  # fmt: skip
        self._suspend(claim, lambda: transitions.ask(claim, asked=asked, now=now), WaitingFor.ANSWER, twice=twice)

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, twice=seldom)
    def sleep(self, place: int, dead: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        key = self.new_key()
        self._suspend(claim, lambda: transitions.sleep(claim, key=key, occurrence=0, seconds=60, now=timezone.now()),
                      WaitingFor.TIME, twice=twice)  # fmt: skip

    @precondition(lambda self: self.anybody_works() and self.has_room())
    @rule(
        place=one_of_many, dead=seldom, count=st.integers(1, 3), outlives=seldom, fail_fast=st.booleans(), twice=seldom
    )
    def run(self, place: int, dead: bool, count: int, outlives: bool, fail_fast: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        key, children = self.new_key(), [Child(TASKS[n % 2], outlives=outlives) for n in range(count)]
        self._suspend(
            claim,
            lambda: transitions.run(claim, key=key, occurrence=0, input_hash="", children=children, gathers=True,
                                    fail_fast=fail_fast, now=timezone.now()),
            WaitingFor.CHILDREN, twice=twice,
        )  # fmt: skip

    def _suspend(self, claim: Claim, do: Callable[[], Any], waiting_for: WaitingFor, *, twice: bool) -> None:
        if spoken := self.speak(claim, do, may={State.RUNNING}):
            self.wants(spoken[0], State.WAITING, waiting_for=waiting_for)
            if twice:
                do()

    @precondition(lambda self: self.anybody_works())
    @rule(
        place=one_of_many,
        dead=seldom,
        name=st.sampled_from(["paid", "sent"]),
        timeout=st.sampled_from([None, 60.0, 60.0]),
        soon=st.booleans(),
    )
    def await_signal(self, place: int, dead: bool, name: str, timeout: float | None, soon: bool) -> None:
        """What was kept is taken; what was not comes soon, or not."""
        claim = self.some_claim(place, dead=dead)
        if claim is None:
            return
        key = self.new_key()
        kept = Signal.objects.filter(execution=claim.execution_id, name=name, taken_by=None).exists()
        spoken = self.speak(
            claim,
            lambda: transitions.await_signal(claim, key=key, occurrence=0, input_hash="", name=name, timeout=timeout,
                                             now=timezone.now()),
            may=HELD if kept else {State.RUNNING},
        )  # fmt: skip
        if spoken and kept:
            self.expect(spoken[0], state=spoken[0]["state"])
            if spoken[1] is None:
                raise Broken("a signal was kept, and not taken")
        elif spoken:
            self.wants(spoken[0], State.WAITING, waiting_for=WaitingFor.SIGNAL)
            if soon:
                self._look()
                transitions.signal(claim.execution_id, name=name, value=1, now=timezone.now(), actor=ACTOR)
                self.wakes(self.record.rows[claim.execution_id])

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, twice=seldom)
    def complete(self, place: int, dead: bool, twice: bool) -> None:
        """From cancelling too: what really happened wins."""
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        self._end(claim, lambda: transitions.complete(claim, output={"n": 1}, now=timezone.now()), State.COMPLETED,
                  may={State.RUNNING, State.CANCELLING}, twice=twice)  # fmt: skip

    @precondition(lambda self: any(row["state"] == State.PREPARING for row in self.record.rows.values()))
    @rule(worker=st.sampled_from(["w1", "w2"]), dead=st.booleans())
    def complete_all(self, worker: str, dead: bool) -> None:
        """A worker tells start and end at once, by all its claims or the oldest ones; it is done where nothing came between."""
        mine = [claim for claim in self.claims if claim.worker == worker and (dead or self.holds(claim))]
        speaking = {claim.execution_id: claim for claim in (reversed(mine) if dead else mine)}
        if not speaking:
            return
        now = timezone.now()
        finished = [Finished(claim, Began("s-1", "warm", "bwrap", "it was over at once", now), '{"n":1}')
                    for claim in speaking.values()]  # fmt: skip
        rows = [self.record.rows[pk] for pk in speaking]
        expected = {row["id"] for row in rows if self.holds(speaking[row["id"]]) and row["state"] == State.PREPARING
                    and not row["pausing"] and row["parent_id"] is None}  # fmt: skip
        done = transitions.complete_all(finished, now=now)
        again = transitions.complete_all(finished, now=now)
        if done != expected or again:
            raise Broken(f"completed {done}, and {again} again; that could be: {expected}")
        self.still |= speaking.keys() - expected
        for row in rows:
            if row["id"] in expected:
                self.expect(row, state=State.COMPLETED, output='{"n":1}', token=row["token"])

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, twice=seldom)
    def stopped(self, place: int, dead: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        self._end(claim, lambda: transitions.stopped(claim, now=timezone.now()), State.CANCELLED, may={State.CANCELLING},
                  twice=twice)  # fmt: skip

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom, twice=seldom)
    def reject(self, place: int, dead: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        self._end(
            claim, lambda: transitions.reject(claim, reason_code=Reason.ENVIRONMENT, error=an_error(), now=timezone.now()),
            State.REJECTED, may={State.PREPARING}, twice=twice,
        )  # fmt: skip

    def _end(self, claim: Claim, do: Callable[[], Any], state: State, *, may: set[State], twice: bool) -> None:
        if spoken := self.speak(claim, do, may=may):
            self.expect(spoken[0], state=state)
            if twice:
                do()

    @precondition(lambda self: self.anybody_works())
    @rule(
        place=one_of_many,
        dead=seldom,
        category=st.sampled_from([Category.ERROR] * 3 + sorted(set(Category) - {Category.LOST})),
        retryable=st.booleans(),
        twice=seldom,
    )
    def fail(self, place: int, dead: bool, category: Category, retryable: bool, twice: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return

        def do() -> None:
            transitions.fail(claim, category=category, error=an_error(retryable=retryable), now=timezone.now())

        if spoken := self.speak(claim, do):
            self._after_failure(spoken[0], category, retryable=retryable)
            if twice:
                do()

    def _after_failure(self, row: Row, category: Category, *, retryable: bool = False) -> None:
        """The budgets, told once more."""
        budget, most = {
            Category.ERROR: ("retries", MAX_RETRIES if retryable else 0),
            Category.OUTPUT_INVALID: ("retries", 0),
            Category.TIMEOUT: ("retries", 0),
            Category.ENVIRONMENT: ("environment_failures", ENVIRONMENT_BUDGET),
            Category.RESOURCES: ("losses", CRASH_BUDGET),
            Category.LOST: ("losses", CRASH_BUDGET),
        }[category]
        if row["state"] == State.CANCELLING or row[budget] >= most:
            self.expect(row, state=State.TIMED_OUT if category == Category.TIMEOUT else State.FAILED)
            return
        lost = sum(attempt["outcome"] == "lost" for attempt in self.record.attempts[row["id"]]) + 1
        costs = category != Category.LOST or row["state"] == State.RUNNING or lost > FREE_LOSSES
        self.wants(row, State.RESUMING, **{budget: row[budget] + costs})

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=seldom)
    def release(self, place: int, dead: bool) -> None:
        if (claim := self.some_claim(place, dead=dead)) is None:
            return
        if spoken := self.speak(claim, lambda: transitions.release(claim, now=timezone.now())):
            row, _ = spoken
            if row["state"] == State.CANCELLING:
                self.expect(row, state=State.CANCELLED)
            else:
                self.wants(row, State.RESUMING, losses=row["losses"], retries=row["retries"])

    @precondition(lambda self: self.claims)
    @rule(dead=st.booleans())
    def renew(self, dead: bool) -> None:
        """All at once; only what is held is renewed."""
        speaking = [claim for claim in self.claims if dead or self.holds(claim)]
        renewed = transitions.renew(speaking)
        held = {claim.execution_id for claim in speaking if self.holds(claim)}
        if set(renewed) != held:
            raise Broken(f"renewed {set(renewed)}, held are {held}")

    @rule(place=one_of_many, worker=st.sampled_from(["w1", "w2"]))
    def go_on(self, place: int, worker: str) -> None:
        """What comes next by itself, so that there is always somebody to speak of."""
        if self.anything_due():
            self.work(worker, 2)
        elif any(self.awaited(row) for row in self.record.rows.values()):
            self.come(place)
        elif self.anybody_lives():
            self._pass(timedelta(seconds=10))
        else:
            self.submit("plain", None, False)

    # The clock, the scheduler and the next life of a worker

    @precondition(anybody_lives)
    @rule(seconds=st.sampled_from([10, 10, 10, 70, 70, 70, 700, 4000]))
    def jump(self, seconds: int) -> None:
        self._pass(timedelta(seconds=seconds))

    def _pass(self, time: timedelta) -> None:
        """Everything that is to come comes nearer."""
        self.time_passed = True
        Timer.objects.update(due_at=F("due_at") - time)
        Execution.objects.filter(lease_until__isnull=False).update(lease_until=F("lease_until") - time)
        rows = Execution.objects.filter(state__in=LIVE, available_at__isnull=False)
        rows.update(available_at=F("available_at") - time)

    @precondition(lambda self: self.time_passed or bool(queries.to_cancel()))
    @rule()
    def tick(self) -> None:
        """One tick of a scheduler: timers, leases, children that nobody waits for."""
        self.time_passed = False
        for timer in queries.due_timers():
            self._fire(timer)
            self._look()
        for pk, token in queries.expired():
            self._reclaim(pk, token)
            self._look()
        self._cancel_children()

    def _fire(self, timer_id: int) -> None:
        timer = Timer.objects.get(pk=timer_id)
        self._expect_of(timer, self.record.rows[timer.execution_id])
        transitions.fire(timer_id, now=timezone.now(), actor="scheduler")
        self.fired.append(timer_id)

    def _expect_of(self, timer: Timer, row: Row) -> None:
        """What a timer does; one whose reason has gone does nothing."""
        questions = {question["id"]: question for question in self.record.questions.get(row["id"], [])}
        waits = {wait["id"]: wait for wait in self.record.waits.get(row["id"], [])}
        match timer.kind:
            case Timer.Kind.QUESTION if questions[timer.question_id]["state"] == Question.State.OPEN:
                if questions[timer.question_id]["default"] is not None:
                    self.wakes(row)
                else:
                    self.expect(row, state=State.FAILED, reason_code=Reason.NO_ANSWER)
            case Timer.Kind.WAIT if waits[timer.wait_id]["finished_at"] is None:
                self.wakes(row)
            case Timer.Kind.QUEUE if row["state"] == State.PENDING:
                self.expect(row, state=State.TIMED_OUT, reason_code=Reason.EXPIRED)
            case Timer.Kind.EXECUTION if row["state"] in LIVE:
                self.expect(row, state=State.TIMED_OUT, reason_code=Reason.DEADLINE)
            case Timer.Kind.STOP if row["state"] == State.CANCELLING:
                self.expect(row, state=State.TERMINATED, reason_code=Reason.NOT_STOPPED)
            case _:
                self.still.add(row["id"])

    @precondition(anybody_lives)
    @rule(place=one_of_many, what=st.sampled_from(["over", "over", "wait", "wait", "any"]))
    def fire(self, place: int, what: str) -> None:
        """The moment of one timer has come: of a wait that is over, of one that is not, or of anything."""
        timers = [timer for timer in Timer.objects.order_by("-pk").select_related("wait", "question", "execution")
                  if timer.execution.state in LIVE or what == "any"]  # fmt: skip
        over = [timer for timer in timers if _is_over(timer)]
        chosen = {
            "over": [timer for timer in over if timer.execution.state == State.WAITING] or over,
            "wait": [timer for timer in timers if timer.wait or timer.question],
            "any": timers,
        }[what]
        if chosen:
            self._fire(chosen[place % len(chosen)].pk)

    @precondition(lambda self: self.fired)
    @rule(place=one_of_many)
    def fire_again(self, place: int) -> None:
        """Another scheduler found it too."""
        transitions.fire(self.fired[-1 - place % len(self.fired)], now=timezone.now(), actor="scheduler")
        self.still |= set(self.record.rows)

    @precondition(lambda self: self.anybody_works())
    @rule(place=one_of_many, dead=st.booleans())
    def reclaim(self, place: int, dead: bool) -> None:
        """By a scheduler, or the next life of its worker; one that knows an old token only does nothing."""
        if (claim := self.some_claim(place, dead=dead)) is not None:
            self._reclaim(claim.execution_id, claim.token)

    def _reclaim(self, pk: UUID, token: int) -> None:
        row = self.record.rows[pk]
        taken = transitions.reclaim(pk, token=token, now=timezone.now(), actor="scheduler")
        if taken != (row["token"] == token and row["state"] in HELD):
            raise Broken(f"{row['state']} with token {row['token']}: reclaimed with {token}: {taken}")
        if not taken:
            self.still.add(pk)
        elif row["state"] == State.CANCELLING:
            self.expect(row, state=State.TERMINATED)
        else:
            self._after_failure(row, Category.LOST)

    @precondition(lambda self: any(claim.worker == "w2" for claim in self.claims))
    @rule()
    def enlist(self) -> None:
        """w2 begins its next life, and takes back what the last one held."""
        held = [row for row in self.record.rows.values() if row["state"] in HELD and row["worker"] == "w2"]
        transitions.enlist("w2", host="h", pid=1, slots=4, queues=QUEUES, labels={}, offers=OFFERS, sandbox="",
                           sandbox_problem="", now=timezone.now())  # fmt: skip
        left = Execution.objects.filter(worker="w2", state__in=HELD, incarnation=1)
        again = transitions.enlist("w2", host="h", pid=1, slots=4, queues=QUEUES, labels={}, offers=OFFERS, sandbox="",
                                   sandbox_problem="", now=timezone.now())  # fmt: skip
        if again > 1 and left.exists():
            raise Broken(f"a new life left {list(left)} of {held}")

    def _cancel_children(self) -> None:
        for _ in range(30):  # a child's end may orphan its own
            orphans = queries.to_cancel()
            for pk in orphans:
                transitions.cancel_child(pk, now=timezone.now())
            if not orphans:
                break
        rows = {row.pk: row for row in Execution.objects.all()}
        for row in rows.values():
            parent = rows.get(cast(UUID, row.parent_id))
            if parent and parent.state in FINAL and not row.outlives_parent and row.state in LIVE - {State.CANCELLING}:
                raise Broken(f"{row} is {row.state}, and its parent has ended")
        for wait in Wait.objects.filter(fail_fast=True, finished_at=None):
            states = {row.state for row in families.of_call(wait)}
            if states & families.FAILURES and states & (LIVE - {State.CANCELLING}):
                raise Broken(f"a child beside others that nobody waits for has failed: {states}")

    # What must be true

    @invariant()
    def holds_true(self) -> None:
        self._look()
        self._put_off()

    def _put_off(self) -> None:
        """How long a history takes must not matter: what is due soon waits for a jump."""
        now = timezone.now()
        soon = [pk for pk, row in self.record.rows.items()
                if row["state"] in LIVE and row["available_at"] and now < row["available_at"] < now + SOON]  # fmt: skip
        if soon:
            Execution.objects.filter(pk__in=soon).update(available_at=now + SOON)
            self._look()

    def _look(self) -> None:
        wrong = self.record.look(still=self.still, thawed=self.thawed)
        for pk, fields in self.expected.items():
            row = self.record.rows[pk]
            wrong += [f"EX-{row['number']}: {name} is {row[name]!r}, expected {value!r}"
                      for name, value in fields.items() if row[name] != value]  # fmt: skip
        self.still, self.thawed, self.expected = set(), set(), {}
        if wrong:
            raise Broken("\n".join(wrong))

    # The end: heal everything, and all must end

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # what went wrong is told, not what follows from it
                self._heal()
        finally:
            transaction.set_rollback(True)
            self.rolled_back.__exit__(None, None, None)

    def _heal(self) -> None:
        if not self.record.rows:
            return
        for _ in range(40):
            if not any(row["state"] in LIVE for row in self.record.rows.values()):
                break
            self._heal_once()
        if left := [row for row in self.record.rows.values() if row["state"] in LIVE]:
            raise Broken("\n".join(f"EX-{row['number']} never ends: {row}" for row in left))
        if wrong := [str(finding) for finding in Verification().findings()]:
            raise Broken("\n".join(wrong))

    def _heal_once(self) -> None:
        """All leases run out, all pauses end, everybody answers, everything due is fired, claimed and completed."""
        for row in [row for row in self.record.rows.values() if row["state"] in HELD]:
            self._reclaim(row["id"], row["token"])
            self._look()
        for row in [row for row in self.record.rows.values() if row["state"] == State.PAUSED]:
            self.resume_one(row)
        for question in Question.objects.filter(state=Question.State.OPEN):
            transitions.answer(question.pk, value="yes", now=timezone.now(), actor=ACTOR)
            self._look()
        for pk, waits in self.record.waits.items():
            for wait in waits:
                if wait["finished_at"] is None and wait["kind"] == WaitingFor.SIGNAL and not wait["due_at"]:
                    transitions.signal(pk, name=wait["name"], value=1, now=timezone.now(), actor=ACTOR)
        self._look()
        self._cancel_children()
        self._look()
        Execution.objects.filter(state__in=CLAIMABLE).update(available_at=None)
        self._complete_all()
        self._pass(timedelta(seconds=70))
        self._look()
        for timer in queries.due_timers():
            self._fire(timer)
            self._look()

    def resume_one(self, row: Row) -> None:
        self.thawed.add(row["id"])
        transitions.resume(row["id"], now=timezone.now(), actor=ACTOR)
        self._look()

    def _complete_all(self) -> None:
        while taken := transitions.claim("w3", incarnation=1, queues=QUEUES, offers=OFFERS, now=timezone.now(), most=9):
            self._look()
            for claim in taken:
                begin(claim)
                self._look()
                transitions.complete(claim, output=None, now=timezone.now())
                self._look()


def _is_over(timer: Timer) -> bool:
    """Whether what it is the end of has come to another."""
    return bool(timer.wait and timer.wait.finished_at) or bool(
        timer.question and timer.question.state != Question.State.OPEN
    )


def _is_due(row: Row) -> bool:
    at = row["available_at"]
    return row["state"] in CLAIMABLE and (at is None or at <= timezone.now())


# What most of a history is spent with

USUALLY = {"go_on": 2, "work": 4, "come": 3, "step": 2, "pause": 2, "jump": 2, "tick": 2, "run": 2}


def favouring(weights: Mapping[str, int]) -> type[Door]:
    """The machine with some rules more often: each stands in it under as many names."""
    names = {
        f"{name}_{n}": _named(getattr(Door, name), f"{name}_{n}")
        for name, times in weights.items()
        for n in range(2, times + 1)
    }
    return type("Favouring", (Door,), names)


def _named(plain: Callable[..., None], name: str) -> Callable[..., None]:
    def again(self: Door, **given: Any) -> None:
        plain(self, **given)

    again.__name__ = name
    setattr(again, RULE_MARKER, replace(getattr(plain, RULE_MARKER), function=again))
    return again
