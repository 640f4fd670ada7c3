"""What the browser shows, who is told of it, and work whose answer may come too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from threading import RLock
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from praval_storage.display import printable
from praval_storage.jupyter.lanes import Job, Lanes
from praval_storage.jupyter.state import NAMES, State, changes
from praval_storage.manager import DataManager

T = TypeVar("T")
Watcher = Callable[[dict[str, Any]], None]
Changes = dict[str, Any]

SLOW = 0.5
"""Seconds from which on a provider is called slow."""
PAUSE = 0.2
"""Seconds between two answers of a question that has running ones."""


class Task(NamedTuple):
    """One question to a provider.

    Attributes:
        kind: What a newer question of the same kind makes pointless: it may not even be asked, and its answer
            is dropped. What has to be done in any case is of a kind of its own.
        storage_type: The provider, ``""`` if none has a part in it.
        words: What is being done: "listing reports".
        again: Asks the same once more; ``None`` = that is not offered.
        failed: What its failure changes besides.
        lane: The queue, when it is not the provider's own.
        must: Whether it is done although the browser is closed before it is its turn.
    """

    kind: str
    storage_type: str
    words: str
    again: Callable[[], object] | None
    failed: Callable[[], Changes] | None = None
    lane: str = ""
    must: bool = False


class Failure(NamedTuple):
    """Why a question has no answer, as it is shown, and what asks again."""

    shown: Changes
    again: Callable[[], object] | None


class Core:
    """The state, changed under a lock, and every question to a provider, numbered.

    Args:
        dm: The manager that is looked at.
        lanes: Where questions are asked.
        state: What is shown first.
    """

    def __init__(self, dm: DataManager, lanes: Lanes, state: State) -> None:
        self.dm = dm
        self.lock = RLock()
        self.state = state
        self._lanes = lanes
        self._watchers: list[Watcher] = []
        self._count = count(1)
        self._numbers: dict[str, int] = {}
        self._busy: dict[str, str] = {}
        self._failures: dict[str, Failure] = {}
        self._last: dict[str, str] = {}
        self.set({"badges": self.badges()})

    def watch(self, watcher: Watcher) -> None:
        """Have a function told of what is shown, and of every change: in order, one at a time."""
        with self.lock:
            self._watchers.append(watcher)
            watcher({name: getattr(self.state, name) for name in NAMES})

    def set(self, values: Changes) -> None:
        """Change what is shown."""
        with self.lock:
            before, self.state = self.state, replace(self.state, **values)
            changed = changes(before, self.state)
            for watcher in self._watchers if changed else ():
                watcher(changed)

    def ask(self, task: Task, work: Callable[[], T], then: Callable[[T], Changes]) -> Job:
        """Do a piece of work elsewhere; its answer changes what is shown unless somebody asked anew."""
        return self._submit(task, lambda known, number: self._run(known, number, work, then))

    def follow(self, task: Task, work: Callable[[], Iterator[T]], then: Callable[[T], Changes]) -> Job:
        """Do a piece of work that has running answers; it ends when they are not wanted any more."""

        def last(number: int) -> T | None:
            shown, answer = 0.0, None
            for answer in work():
                with self.lock:
                    if self._numbers.get(task.kind) != number:
                        break
                    if monotonic() - shown >= PAUSE:
                        shown = monotonic()
                        self.set(then(answer))
            return answer

        def done(answer: T | None) -> Changes:
            return {} if answer is None else then(answer)

        return self._submit(task, lambda known, number: self._run(known, number, lambda: last(number), done))

    def waits(self, kind: str) -> bool:
        """Whether an answer to this kind of question is still to come."""
        return kind in self._numbers

    def forget(self, *kinds: str) -> None:
        """The answers to these kinds of questions are not wanted any more."""
        with self.lock:
            for kind in kinds:
                self._numbers.pop(kind, None)
                self._busy.pop(kind, None)
            self.set({"busy": self._words()})

    def pardon(self, *, rows: bool = False) -> None:
        """Somebody goes on, and has seen what went wrong.

        Args:
            rows: Whether also that there are no rows is over; else it is to be seen until they come.
        """
        with self.lock:
            kept = {} if rows else {kind: each for kind, each in self._failures.items() if kind == "list"}
            self._failures = kept
            self.set(self._failing())

    def retry(self) -> Job | None:
        """Ask again what failed last."""
        again = next((each.again for each in reversed(self._failures.values())), None)
        job = again() if again else None
        return job if isinstance(job, Job) else None

    def fail(self, task: Task, error: Exception) -> None:
        """Show why a piece of work failed, and offer to try it again."""
        with self.lock:
            self._failures.pop(task.kind, None)
            self._failures[task.kind] = Failure(self._error(task, error), task.again)
            self.set({**self._failing(), "badges": self.badges(), "notice": f"{task.words} failed"})

    def refuse(self, words: str, error: Exception) -> None:
        """Show why what a page asked for is not even begun."""
        self.fail(Task("message", "", words, None), error)

    def close(self) -> None:
        """Drop what is queued, but for what was confirmed, and tell nobody any more."""
        with self.lock:
            self._watchers.clear()
            self._numbers.clear()
        self._lanes.close()

    def badges(self) -> dict[str, dict[str, str]]:
        """How the last call of each provider went; nobody is asked for that."""
        return {name: self._badge(name) for name in self.dm.providers}

    def _run(self, task: Task, number: int, work: Callable[[], T], then: Callable[[T], Changes]) -> None:
        # A callback's exception would vanish in a log nobody opens: whatever happens is shown.
        try:
            answer = work()
        except Exception as error:  # noqa: BLE001
            with self.lock:
                if self._settled(task, number):
                    self._failed(task, error)
        else:
            with self.lock:
                if self._settled(task, number):
                    self._answered(task, answer, then)

    def _answered(self, task: Task, answer: T, then: Callable[[T], Changes]) -> None:
        try:
            changed = then(answer)
            self._failures.pop(task.kind, None)
            self.set({"busy": self._words(), "badges": self.badges(), **self._failing(), **changed})
        except Exception as error:  # noqa: BLE001 - as above; also that of an observer
            self._failed(task, error)

    def _failed(self, task: Task, error: Exception) -> None:
        self.set({"busy": self._words(), **(task.failed() if task.failed else {})})
        self.fail(task, error)

    def _settled(self, task: Task, number: int) -> bool:
        """Note that an answer has come; whether it is still wanted."""
        self._last[task.storage_type] = f"{task.words}, {datetime.now(UTC):%H:%M:%S} UTC"
        if self._numbers.get(task.kind) != number:
            return False
        self._numbers.pop(task.kind)
        self._busy.pop(task.kind, None)
        return True

    def _submit(self, task: Task, run: Callable[[Task, int], None]) -> Job:
        task = task._replace(words=printable(task.words, 120))  # names of records may be in them
        with self.lock:
            number = self._numbers[task.kind] = next(self._count)
            self._busy[task.kind] = task.words
            self.set({"busy": self._words()})
        job = Job(task.kind, lambda: run(task, number), must=task.must)
        return self._lanes.submit(task.lane or task.storage_type, job)

    def _failing(self) -> Changes:
        *earlier, last = [each.shown for each in self._failures.values()] or [{}]
        also = [f"{each['title']}: {each['class']}: {each['text']}" for each in earlier]
        return {"error": {**last, "also": also} if also else last}

    def _words(self) -> str:
        return next(reversed(self._busy.values()), "")

    def _error(self, task: Task, error: Exception) -> Changes:
        where = self.dm.providers.place(task.storage_type) if task.storage_type in self.dm.providers else ""
        return {
            "kind": task.kind,
            "title": f"{task.words} failed",
            "class": type(error).__name__,
            "text": printable(str(error), 600),
            "where": where,
            "retry": task.again is not None,
        }

    def _badge(self, name: str) -> dict[str, str]:
        health = self.dm.providers.calls(name).last
        title = self._last.get(name, "")
        if health.status == "unknown":
            return {"state": "unknown", "text": "", "title": "not used yet"}
        if health.status == "down":
            return {"state": "down", "text": "down", "title": f"{health.detail}: {title}"}
        slow = health.seconds > SLOW
        took = f"{health.seconds:.1f} s slow" if slow else f"{health.seconds * 1e3:.0f} ms"
        return {"state": "slow" if slow else "up", "text": took, "title": f"{title}: {took}"}
