"""The contenders, each started, fed and asked in the same words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from celery import Celery
from honcho.environ import parse_procfile

from bench import workload
from bench.servers import ROOT, World, end, said, spawn, wait_until
from bide.contract import GENERATE_TASK, SUBMIT_QUEUE
from bide.ledger import AccountName
from bide.ledger.ledger import prefix

Dues = dict[str, list[float]]

#: What a Celery worker says once it serves.
_READY = "ready."

#: Between two looks at the ledger's clock [seconds]; every poll stands on it for longer.
_LOOK_SECONDS = 0.5


class Contender(ABC):
    """One way to have the jobs done. Jobs have names, which begin with the contender's."""

    name: str

    def __init__(self, world: World) -> None:
        self.world = world
        self.processes: list[subprocess.Popen[str]] = []

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    @property
    def durable(self) -> bool:
        """Whether it keeps anything in Redis."""
        return True

    @abstractmethod
    def start(self) -> None:
        """Start its processes; returns once they serve."""

    @abstractmethod
    def submit(self, names: Sequence[str]) -> None:
        """Enqueue jobs."""

    @abstractmethod
    def finished(self, names: Sequence[str]) -> int:
        """How many of these jobs' callers hold a good result."""

    @abstractmethod
    def dues(self) -> Dues:
        """When each poll so far was due, by the provider's job id [seconds since the epoch]."""

    def stop(self) -> None:
        """End its processes."""
        for process in self.processes:
            end(process)
        self.processes.clear()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Plain(Contender):
    """An asyncio script."""

    name = "plain"

    @property
    def durable(self) -> bool:
        return False

    def start(self) -> None:
        notes = {workload.DUES_VARIABLE: str(self.world.dues_file(self.name))}
        process = spawn([sys.executable, "-m", "bench.plain"], {**self.world.environment, **notes})
        self.processes.append(process)
        said(process, "ready")
        self._done: set[str] = set()
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._done.add(line.strip())

    def submit(self, names: Sequence[str]) -> None:
        stdin = self.processes[0].stdin
        assert stdin is not None
        stdin.write(json.dumps(names) + "\n")
        stdin.flush()

    def finished(self, names: Sequence[str]) -> int:
        return len(self._done.intersection(names))

    def dues(self) -> Dues:
        return read_dues(self.world.dues_file(self.name))


class CeleryContender(Contender):
    """One that takes its jobs from Redis and leaves results there."""

    task: str
    queue: str

    def __init__(self, world: World) -> None:
        super().__init__(world)
        # no result backend here: a caller that subscribes to each result would be a burden of its own
        self._caller = Celery("caller", broker=world.redis_url)
        self._caller.conf.task_create_missing_queues = True

    def submit(self, names: Sequence[str]) -> None:
        with self._caller.producer_or_acquire() as producer:
            for name in names:
                self.send(name, self.arguments(name), producer)

    def send(self, name: str, arguments: dict[str, Any], producer: Any = None) -> None:
        """Enqueue one job; the task's id is its name."""
        self._caller.send_task(self.task, task_id=name, kwargs=arguments, queue=self.queue, producer=producer)

    @abstractmethod
    def arguments(self, name: str) -> dict[str, Any]:
        """Of the task that does one job."""

    def finished(self, names: Sequence[str]) -> int:
        results: list[str | None] = self.world.redis.mget([f"celery-task-meta-{name}" for name in names])  # type: ignore[assignment]  # redis-py's stubs know no difference between sync and async
        return sum(result is not None and '"status": "SUCCESS"' in result for result in results)

    def launch(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start a worker and wait until it serves."""
        log = self.world.folder / f"{name}.log"
        log.touch()
        process = spawn(command, {**self.world.environment, **environment}, log=log)
        self.processes.append(process)
        if not wait_until(lambda: process.poll() is not None or _READY in log.read_text()) or process.poll():
            raise RuntimeError(f"{name} did not start:\n{log.read_text()[-2000:]}")


class Bide(CeleryContender):
    """The worker and the poller of the Procfile."""

    name, task, queue = "bide", GENERATE_TASK, SUBMIT_QUEUE

    def start(self) -> None:
        commands = parse_procfile((ROOT / "Procfile").read_text()).processes
        path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        self._watch = DueWatch(self.world)
        for number, name in enumerate(("worker", "poller")):
            command = f"exec {self.launcher(number)}{commands[name]}"
            self.launch(f"{self.name}-{name}", ["/bin/sh", "-c", command], path)

    def launcher(self, number: int) -> str:
        """What the command of a process is put behind."""
        return ""

    @property
    def worker_pid(self) -> int:
        return self.pids[0]

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
    """The same, each process kept on a CPU of its own: its threads then never wake another CPU."""

    name = "pinned"

    def launcher(self, number: int) -> str:
        cpus = sorted(os.sched_getaffinity(0))
        return f"taskset -c {cpus[number % len(cpus)]} "


def _request(operation: str, prompt: str) -> dict[str, Any]:
    return {"request": {"provider": "photogpt", "operation": operation, "params": workload.params(prompt)}}


class Naive(CeleryContender):
    """A Celery worker with a chain of retries for each job."""

    name, task, queue = "naive", "naive.generate", "naive"

    def start(self) -> None:
        notes = {workload.DUES_VARIABLE: str(self.world.dues_file(self.name))}
        options = ["--without-gossip", "--without-mingle", "--loglevel=INFO", "-n", "naive@%h"]
        command = [sys.executable, "-m", "celery", "-A", "bench.naive", "worker", *options]
        self.launch(self.name, command, notes)

    def arguments(self, name: str) -> dict[str, Any]:
        return {"name": name}

    def dues(self) -> Dues:
        return read_dues(self.world.dues_file(self.name))


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
        while not self._stop.wait(_LOOK_SECONDS):
            waiting: Any = self._redis.zrange(f"{self._prefix}due", 0, -1, withscores=True)
            for job, score in waiting:
                self._seen[job].add(score)


def read_dues(file: Path) -> Dues:
    """The notes of a contender, a line each: the provider's job id and the time."""
    dues: Dues = defaultdict(list)
    for line in _lines(file):
        provider_job_id, _, moment = line.partition(" ")
        dues[provider_job_id].append(float(moment))
    return dues


def _lines(file: Path) -> Iterable[str]:
    return file.read_text().splitlines() if file.exists() else ()
