"""Celery without bide: the chain of retries, the countdowns, the loops that block."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from bench.contenders.celery import READY, CeleryContender


class CeleryPeer(CeleryContender):
    """Workers of an app of the bench, whose task takes a job's name."""

    #: The module of the app.
    app: str

    #: What each of its workers takes: the options of `celery worker`.
    workers: ClassVar[tuple[str, ...]] = ("",)

    options = "--without-gossip --without-mingle --loglevel=INFO"

    def start(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", self.app, "worker"]
        for number, takes in enumerate(self.workers):
            name = f"{self.name}-{number}"
            command = [*celery, *self.options.split(), *takes.split(), "-n", f"{name}@%h"]
            self.launch(name, command, self.notes, ready=READY)

    def arguments(self, name: str) -> dict[str, Any]:
        return {"name": name}


class Naive(CeleryPeer):
    """Celery with one `self.retry(countdown=...)` chain per job and one shared httpx client: the usual first attempt.

    One worker has a pool of 32 threads. It sends no events, and does not check what it stores.
    """

    name, task, queue, app = "naive", "naive.generate", "naive", "bench.peers.naive"


class Countdown(CeleryPeer):
    """Celery with a task for each poll, sent with a countdown, its state in the message: the best that we found.

    Two workers have pools of 32 threads. One submits and stores, one polls, so that polls don't wait behind submits.
    Settings: `task_acks_late`, `task_reject_on_worker_lost`, prefetch 1, `visibility_timeout` 60 s, results of the
    last step only, no rate limits, remote control or events, one urllib3 pool per process. The SIGKILL hits the worker
    that submits.
    """

    name, task, queue, app = "countdown", "countdown.generate", "countdown.submit", "bench.peers.countdown"
    later_result = True
    workers = ("-Q countdown.submit,countdown.store", "-Q countdown.poll")
    options = f"{CeleryPeer.options} --without-heartbeat"


class Blocking(CeleryPeer):
    """The loop of the providers' documents in a Celery task: submit, then sleep and ask until it is done.

    Two workers have pools of 256 threads, one for each of 512 jobs at once; more jobs wait in line. The task sleeps as
    long as the others' schedule says, not the 2 or 5 s of the documents. Settings: `task_acks_late`, prefetch 1,
    `visibility_timeout` 60 s, one urllib3 pool per process.
    """

    name, task, queue, app = "blocking", "blocking.generate", "blocking", "bench.peers.blocking"
    workers = ("-Q blocking", "-Q blocking")
    options = f"{CeleryPeer.options} --without-heartbeat"
