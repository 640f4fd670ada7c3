"""Work away from the kernel's main thread: one piece at a time for each provider."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Event, RLock, Thread, current_thread

Work = Callable[[], None]

logger = logging.getLogger("praval_storage")


class Job:
    """A piece of work that can be waited for.

    Args:
        kind: What a newer one of the same kind replaces.
        work: What is done.
        must: Whether it is done although the lanes are closed before it is its turn.
    """

    def __init__(self, kind: str, work: Work, *, must: bool = False) -> None:
        self.kind = kind
        self.must = must
        self._work = work
        self._done = Event()

    def run(self) -> None:
        """Do the work; whoever waits goes on in any case."""
        try:
            self._work()
        finally:
            self._done.set()

    def drop(self) -> None:
        """Not to be done any more."""
        self._done.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until it is done or dropped. A lane that waits for a lane would wait for ever, so it does not."""
        if not isinstance(current_thread(), _LaneThread):
            self._done.wait(seconds)


class _LaneThread(Thread):
    """A thread that does a lane's work."""


class Lanes:
    """A queue for each provider, worked through by a thread of its own that ends when nothing is left.

    Args:
        threads: ``False`` = all work is done at once, by the caller: for scripts and static output.
    """

    def __init__(self, *, threads: bool = True) -> None:
        self.threads = threads
        self._lock = RLock()
        self._queues: dict[str, deque[Job]] = {}
        self._closed = False

    def submit(self, lane: str, job: Job) -> Job:
        """Queue a piece of work, in the place of an older one of its kind that nobody has started."""
        if not self.threads:
            job.run()
            return job
        with self._lock:
            if self._closed:
                job.drop()
                return job
            self._enqueue(lane, job)
        return job

    def close(self) -> None:
        """Drop what is queued and need not be done. What runs ends by itself, its answer being nobody's."""
        with self._lock:
            self._closed = True
            for queue in self._queues.values():
                for job in [job for job in queue if not job.must]:
                    queue.remove(job)
                    job.drop()

    def _enqueue(self, lane: str, job: Job) -> None:
        working = lane in self._queues
        queue = self._queues.setdefault(lane, deque())
        for old in [old for old in queue if old.kind == job.kind]:
            queue.remove(old)
            old.drop()
        queue.append(job)
        if not working:
            # Daemons: a server that does not answer must not keep the kernel from ending.
            _LaneThread(target=self._work, args=(lane,), name=f"praval-browse-{lane}", daemon=True).start()

    def _work(self, lane: str) -> None:
        while True:
            with self._lock:
                queue = self._queues[lane]
                if not queue:
                    del self._queues[lane]
                    return
                job = queue.popleft()
            try:
                job.run()
            except Exception:
                # An observer of the widget failed while it was told of a failure; the lane goes on.
                logger.exception("browsing %s", lane)
