"""What the browser shows, who is told of it, and work whose answer may come too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import RLock
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


class Task(NamedTuple):
    """One question to a provider.

    Attributes:
        kind: What a newer question of the same kind makes pointless: its answer is dropped.
        storage_type: The provider.
        words: What is being done: "listing reports".
        again: Asks the same once more.
        lane: The queue, when it is not the provider's own.
    """

    kind: str
    storage_type: str
    words: str
    again: Callable[[], object]
    lane: str = ""


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
        self._numbers: dict[str, int] = {}
        self._busy: dict[str, str] = {}
        self._again: Callable[[], object] | None = None
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
        # Names of records may be in them.
        task = task._replace(words=printable(task.words, 120))
        with self.lock:
            number = self._numbers[task.kind] = self._numbers.get(task.kind, 0) + 1
            self._busy[task.kind] = task.words
            self.set({"busy": self._words()})
        return self._lanes.submit(
            task.lane or task.storage_type, task.kind, lambda: self._run(task, number, work, then)
        )

    def forget(self, *kinds: str) -> None:
        """The answers to these kinds of questions are not wanted any more."""
        with self.lock:
            for kind in kinds:
                self._numbers[kind] = self._numbers.get(kind, 0) + 1
                self._busy.pop(kind, None)
            self.set({"busy": self._words()})

    def current(self, kind: str, number: int) -> bool:
        """Whether the question with this number is still the last one of its kind."""
        return self._numbers.get(kind) == number

    def number(self, kind: str) -> int:
        """Number of the last question of a kind."""
        return self._numbers.get(kind, 0)

    def retry(self) -> Job | None:
        """Ask again what failed last."""
        again, self._again = self._again, None
        job = again() if again else None
        return job if isinstance(job, Job) else None

    def fail(self, task: Task, error: Exception) -> None:
        """Show why a piece of work failed, and offer to try it again."""
        with self.lock:
            self._again = task.again
            self.set(
                {"error": self._error(task, error), "badges": self.badges(), "notice": f"{task.words} failed"}
            )

    def close(self) -> None:
        """Drop what is queued and tell nobody any more."""
        with self.lock:
            self._watchers.clear()
            self._numbers = {kind: number + 1 for kind, number in self._numbers.items()}
        self._lanes.close()

    def badges(self) -> dict[str, dict[str, str]]:
        """How the last call of each provider went; nobody is asked for that."""
        return {name: self._badge(name) for name in self.dm.providers}

    def _run(self, task: Task, number: int, work: Callable[[], T], then: Callable[[T], Changes]) -> None:
        # A callback's exception would vanish in a log nobody opens: whatever happens is shown.
        try:
            answer = work()
            with self.lock:
                if self._settled(task, number):
                    changed = then(answer)
                    cleared: Changes = {"error": {}} if self.state.error.get("kind") == task.kind else {}
                    self.set({"busy": self._words(), "badges": self.badges(), **cleared, **changed})
        except Exception as error:  # noqa: BLE001
            with self.lock:
                if self._settled(task, number):
                    self.set({"busy": self._words()})
                    self.fail(task, error)

    def _settled(self, task: Task, number: int) -> bool:
        """Note that an answer has come; whether it is still wanted."""
        self._last[task.storage_type] = f"{task.words}, {datetime.now(UTC):%H:%M:%S} UTC"
        if not self.current(task.kind, number):
            return False
        self._busy.pop(task.kind, None)
        return True

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
            "retry": True,
        }

    def _badge(self, name: str) -> dict[str, str]:
        health = self.dm.providers.last_call(name)
        title = self._last.get(name, "")
        if health.status == "unknown":
            return {"state": "unknown", "text": "", "title": "not used yet"}
        if health.status == "down":
            return {"state": "down", "text": "down", "title": f"{health.detail}: {title}"}
        slow = health.seconds > SLOW
        took = f"{health.seconds:.1f} s slow" if slow else f"{health.seconds * 1e3:.0f} ms"
        return {"state": "slow" if slow else "up", "text": took, "title": f"{title}: {took}"}
