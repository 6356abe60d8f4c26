"""Tells the door what a sandbox says: frames become verbs, and their acknowledgements go back after the commit."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from executions import failpoints, transitions
from executions.transitions import Asked, Began, Child, Claim, Finished, Refused, Stale, Then
from tasks.sdk.protocol import (
    Ask,
    AwaitSignal,
    Checkpoint,
    Diverged,
    Error,
    Frame,
    Hello,
    Output,
    Progress,
    Run,
    Sleep,
    Step,
)
from workers.insist import insist
from workers.runtimes.base import Lines, Sandbox
from workers.runtimes.choose import Choice

QUICK = 0.01  # seconds within which an action may end before its start is told
CARD_EVERY = 0.5  # seconds between two changes of a card's live line


class Teller:
    """Tells the door what one sandbox says, and keeps what only counts at the end: the output, or the error."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.output: Output | None = None
        self.error: dict[str, Any] | None = None
        self.is_suspended = self.is_stopped = False
        self._began: Began | None = None
        self._card = Card(claim)

    def listen(self, sandbox: Sandbox, choice: Choice) -> None:
        """Every frame until the sandbox ends, hands its execution over to a person, or says what the door refuses."""
        try:
            for frame in sandbox.frames():
                self._tell(frame, sandbox, choice)
                if self.is_suspended:
                    sandbox.end()
                    return
            self.flush(last=True)
        except Stale:
            self.is_stopped = True  # a cancel came first, or the claim is lost: the end will tell which
            sandbox.end()
        except Refused as refused:
            self.error = self.error or {"type": "Refused", "message": refused.message, "code": refused.code}
            sandbox.end()

    def finished(self, output: str) -> Finished | None:
        """The attempt from beginning to end, where nothing of it has been told yet."""
        return Finished(self.claim, self._began, output) if self._began is not None else None

    def flush(self, *, last: bool = False) -> None:
        """Show on the card what was kept back so as not to change it more than twice a second."""
        self._card.flush(last=last)

    def _tell(self, frame: Frame, sandbox: Sandbox, choice: Choice) -> None:
        if not isinstance(frame, Output):
            self.tell_start()
        match frame:
            case Hello():
                self._start(sandbox, choice)
            case Lines():
                self._card.log(frame)
            case Progress():
                self._card.progress(frame)
            case Step() | Checkpoint():
                self._record(frame, sandbox)
            case Diverged():
                self._diverged(frame, sandbox)
            case Ask() | Sleep() | Run() | AwaitSignal():
                self._wait(frame, sandbox)
            case Output():
                self.output = self.output or frame
            case Error():
                self.error = self.error or _error(frame)

    def _start(self, sandbox: Sandbox, choice: Choice) -> None:
        """The sandbox stands. What is over in a moment is told of with its end, in one transaction (`conclude`)."""
        failpoints.reach("after_hello")
        now = timezone.now()
        self._began = Began(sandbox.id, sandbox.method, sandbox.driver, choice.why, now)
        if not (sandbox.method == "in_process" and sandbox.says_more(within=QUICK)):
            self.tell_start()

    def tell_start(self) -> None:
        """Tell of the start, if that is still to be told."""
        began, self._began = self._began, None
        if began is not None:
            insist(lambda: transitions.start(self.claim, began=began, now=timezone.now()))

    def _record(self, frame: Step | Checkpoint, sandbox: Sandbox) -> None:
        """Tell of a result; the author's code hears that it is kept only after the commit, and whether to go on."""
        now, claim = timezone.now(), self.claim
        if isinstance(frame, Step):
            then = insist(
                lambda: transitions.step(
                    claim,
                    key=frame.key,
                    occurrence=frame.occurrence,
                    input_hash=frame.input_hash,
                    value=frame.value,
                    seconds=frame.seconds,
                    now=now,
                )
            )
        else:
            then = insist(lambda: transitions.checkpoint(claim, name=frame.key, value=frame.value, now=now))
        self.is_stopped = self.is_stopped or then == Then.CANCEL
        self.is_suspended = then == Then.PAUSE
        occurrence = frame.occurrence if isinstance(frame, Step) else 0
        if then == Then.GO:
            sandbox.ack(frame.key, occurrence)
        else:
            sandbox.ack(frame.key, occurrence, then="stop", why=then)

    def _diverged(self, frame: Diverged, sandbox: Sandbox) -> None:
        """The history keeps that the code changed its mind; the author's policy says what follows."""
        insist(
            lambda: transitions.diverged(
                self.claim,
                key=frame.key,
                occurrence=frame.occurrence,
                recorded=frame.recorded,
                met=frame.met,
                policy=frame.policy,
                now=timezone.now(),
            )
        )
        if frame.policy == "use":
            sandbox.ack(frame.key, frame.occurrence)
            return
        self.error = self.error or _changed_its_mind(frame)
        sandbox.ack(frame.key, frame.occurrence, then="stop", why="diverged")

    def _wait(self, frame: Ask | Sleep | Run | AwaitSignal, sandbox: Sandbox) -> None:
        """Hand the execution over to a person, a moment, its children or a signal; one that was kept is taken at once."""
        self.flush(last=True)
        kept = insist(lambda: _handed_over(self.claim, frame, now=timezone.now()))
        if kept is None:
            self.is_suspended = True
        else:
            sandbox.ack(frame.key, frame.occurrence, value=kept)


def _handed_over(claim: Claim, frame: Ask | Sleep | Run | AwaitSignal, *, now: datetime) -> dict[str, Any] | None:
    """Record what is waited for; what a signal that was kept brings, else None."""
    name: dict[str, Any] = {"key": frame.key, "occurrence": frame.occurrence, "now": now}
    match frame:
        case Ask():
            transitions.ask(claim, asked=_asked(frame), now=now)
        case Sleep():
            until = datetime.fromtimestamp(frame.until, UTC) if frame.until is not None else None
            transitions.sleep(claim, **name, seconds=frame.seconds, until=until)
        case Run():
            children = [Child(**child) for child in frame.children]
            transitions.run(claim, **name, input_hash=frame.input_hash, children=children, gathers=frame.gathers,
                            fail_fast=frame.fail_fast)  # fmt: skip
        case AwaitSignal():
            kept = transitions.await_signal(claim, **name, input_hash=frame.input_hash, name=frame.name,
                                            timeout=frame.timeout)  # fmt: skip
            return None if kept is None else {"value": kept.value}
    return None


class Card:
    """What a run shows on its card: written at most twice a second, the newest last. Thread-safe: the keeper flushes too."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._told = 0.0
        self._progress: Progress | None = None
        self._message: str | None = None

    def log(self, batch: Lines) -> None:
        """Store lines now; the last of them reaches the card when it may change again."""
        rows = [(line.at, line.stream, line.level, line.text) for line in batch.lines]
        with self._lock:
            message = next((line.text for line in reversed(batch.lines) if line.text.strip()), None)
            shows = message is not None and self._progress is None and self._may_tell()
            insist(
                lambda: transitions.log(self._claim, lines=rows, message=message if shows else None, now=timezone.now())
            )
            self._message = None if shows else message or self._message
            self._flush()  # progress that waits is told with the line: lines alone would never let it through

    def progress(self, frame: Progress) -> None:
        with self._lock:
            self._progress, self._message = frame, None
            self._flush()

    def flush(self, *, last: bool = False) -> None:
        with self._lock:
            self._flush(last=last)

    def _flush(self, *, last: bool = False) -> None:
        if (self._progress is None and self._message is None) or not (self._may_tell() or last):
            return
        said = self._progress or Progress(0.0)
        fraction, line = said.fraction if self._progress else None, self._message or ""
        insist(
            lambda: transitions.progress(
                self._claim, fraction=fraction, message=said.message, line=line, now=timezone.now()
            )
        )
        self._progress = self._message = None

    def _may_tell(self) -> bool:
        if time.monotonic() - self._told < CARD_EVERY:
            return False
        self._told = time.monotonic()
        return True


def _asked(frame: Ask) -> Asked:
    return Asked(
        key=frame.key,
        occurrence=frame.occurrence,
        prompt=frame.prompt,
        kind=frame.kind,
        options=frame.options,
        schema=frame.schema,
        recommended=frame.recommended,
        deadline=datetime.fromtimestamp(frame.deadline, UTC) if frame.deadline is not None else None,
        default=frame.default,
        has_default=frame.has_default,
    )


def _error(frame: Error) -> dict[str, Any]:
    return {"type": frame.type, "message": frame.message, "stack": frame.stack, "retryable": frame.retryable}


def _changed_its_mind(frame: Diverged) -> dict[str, Any]:
    was, now = frame.recorded.partition(":")[0], frame.met.partition(":")[0]
    how = "with another input" if was == now else f"as {was} and is now {now}"
    message = (
        f"“{frame.key}” was recorded {how}, so its record cannot be used. Code that starts again must ask for the same "
        "as before; what runs again with another input or other code keeps nothing from there on."
    )
    return {"type": "StepDiverged", "message": message}
