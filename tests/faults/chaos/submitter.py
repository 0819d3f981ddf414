"""The callers: they enqueue the jobs evenly over the time of a run, and try again where that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tests.faults.chaos.contenders import Contender
from tests.faults.chaos.jobs import Job

#: Callers at once, and how long one waits before it tries again [seconds].
CALLERS, AGAIN_SECONDS = 4, 0.5


class Submitter:
    """Starts at once; `wait` returns when every job is with the contender."""

    def __init__(self, contender: Contender, jobs: Sequence[Job], *, seconds: float) -> None:
        self._contender, self._gap = contender, seconds / max(len(jobs), 1)
        #: When each caller let go of its job [seconds since the epoch], and how often one had to try again.
        self.submitted_at: dict[str, float] = {}
        self.tried_again = 0
        self._began = time.monotonic()
        self._broken: list[BaseException] = []
        shares = [list(enumerate(jobs))[caller::CALLERS] for caller in range(CALLERS)]
        self._threads = [threading.Thread(target=self._submit, args=(share,), daemon=True) for share in shares]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Raises what broke a caller."""
        for thread in self._threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    def _submit(self, share: list[tuple[int, Job]]) -> None:
        try:
            for number, job in share:
                time.sleep(max(0.0, self._began + number * self._gap - time.monotonic()))
                self._submit_one(job)
        except BaseException as error:
            self._broken.append(error)
            raise

    def _submit_one(self, job: Job) -> None:
        while True:
            at = time.time()
            try:
                self._contender.submit(job)
            except OSError:
                self.tried_again += 1
                time.sleep(AGAIN_SECONDS)
            else:
                self.submitted_at[job.name] = at
                return
