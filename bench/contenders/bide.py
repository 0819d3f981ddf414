"""bide itself, started as the Procfile says."""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile

from bench import workload
from bench.contenders.base import Dues
from bench.contenders.celery import READY, CeleryContender
from bench.servers import ROOT, World
from bide.contract import GENERATE_TASK, SUBMIT_QUEUE
from bide.ledger import AccountName
from bide.ledger.keys import prefix

#: Between two reads of the ledger's clock [seconds]; every poll stands on it for longer.
_READ_SECONDS = 0.5


class Bide(CeleryContender):
    """The Procfile's `worker` and `poller`, with task events on, as Flower wants them."""

    name, task, queue = "bide", GENERATE_TASK, SUBMIT_QUEUE

    def start(self) -> None:
        commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        self._watch = DueWatch(self.world)
        for number, name in enumerate(("worker", "poller")):
            command = f"exec {self.launcher(number)}{commands[name]}"
            self.launch(f"{self.name}-{name}", ["/bin/sh", "-c", command], path, ready=READY)

    def launcher(self, number: int) -> str:
        """What the command of a process is put behind."""
        return ""

    @property
    def worker_pid(self) -> int:
        return self.pids[0]

    @property
    def poller_pid(self) -> int:
        return self.pids[1]

    def arguments(self, name: str) -> dict[str, Any]:
        return _request("images.generation", name)

    def submit_film(self, name: str, film_bytes: int) -> None:
        """Enqueue a video of a size; the sandbox reads the size in the prompt."""
        self.send(name, _request("videos.generation", f"{name} [video:{film_bytes}]"))

    def dues(self) -> Dues:
        return self._watch.dues()

    def stop(self) -> None:
        self._watch.stop()
        super().stop()


class PinnedBide(Bide):
    """bide with each process on a CPU of its own, whose threads never wake another CPU.

    `taskset -c N` stands before the Procfile's command.
    """

    name = "pinned"

    def launcher(self, number: int) -> str:
        cpus = sorted(os.sched_getaffinity(0))
        return f"taskset -c {cpus[number % len(cpus)]} "


def _request(operation: str, prompt: str) -> dict[str, Any]:
    return {"request": {"provider": "photogpt", "operation": operation, "params": workload.params(prompt)}}


class DueWatch:
    """Reads the clock `due` of bide's ledger over and over, from outside: job id and the time of its next poll."""

    def __init__(self, world: World) -> None:
        self._redis, self._prefix = world.redis, prefix(AccountName("photogpt", "default"))
        self._seen: dict[str, set[float]] = defaultdict(set)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def dues(self) -> Dues:
        """What was seen so far, by the provider's job ids."""
        jobs = list(self._seen)
        pipeline = self._redis.pipeline(transaction=False)
        for job in jobs:
            pipeline.hget(f"{self._prefix}job:{job}", "pid")
        return {pid: sorted(self._seen[job]) for job, pid in zip(jobs, pipeline.execute(), strict=True) if pid}

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_READ_SECONDS):
            waiting: Any = self._redis.zrange(f"{self._prefix}due", 0, -1, withscores=True)
            for job, score in waiting:
                self._seen[job].add(score)
