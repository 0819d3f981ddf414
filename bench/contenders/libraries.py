"""The other task queues, each with the workers that its own documentation starts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import redis

from bench import workload
from bench.contenders.base import INSTALL, START_SECONDS, Contender
from bench.servers import ROOT, World, end, read_line, spawn, wait_until


class LibraryContender(Contender):
    """One whose jobs are enqueued by its own library, in a process that is no part of what is measured."""

    #: The module of `bench.peers`.
    peer: str

    #: Variables of its processes' environment, besides those of all contenders.
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._caller: subprocess.Popen[str] | None = None
        self._results = redis.Redis.from_url(world.redis_url)  # bytes: some results are pickled

    @classmethod
    def python(cls) -> str:
        """The interpreter of its environment."""
        return sys.executable

    @property
    def module(self) -> str:
        return f"bench.peers.{self.peer}"

    def start(self) -> None:
        self.start_workers()
        self._caller = spawn([self.python(), "-m", "bench.peers.feed", self.module], self._environment)
        read_line(self._caller, "ready")

    @abstractmethod
    def start_workers(self) -> None:
        """Start all that is measured."""

    @abstractmethod
    def result_key(self, name: str) -> str:
        """Where the library keeps the result of a job."""

    def submit(self, names: Sequence[str]) -> None:
        assert self._caller is not None
        assert self._caller.stdin is not None
        self._caller.stdin.write(json.dumps(names) + "\n")
        self._caller.stdin.flush()
        read_line(self._caller, "enqueued")

    def finished(self, names: Sequence[str]) -> int:
        results: Any = self.read([self.result_key(name) for name in names])
        return sum(result is not None and workload.SUCCEEDED.encode() in result for result in results)

    def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """The values of keys."""
        values: Any = self._results.mget(keys)
        return list(values)

    def stop(self) -> None:
        super().stop()
        if self._caller:
            end(self._caller)
            self._caller = None
        self._results.close()

    def command(self, number: int, command: Sequence[str], *, ready: str, times: int = 1) -> None:
        """Start one of its processes; the program is one of its environment."""
        program, *options = command
        path = str(Path(self.python()).parent / program)
        self.launch(f"{self.name}-{number}", [path, *options], self._environment, ready=ready, times=times)

    def kill_worker(self, number: int, pid: str) -> None:
        """SIGKILL the worker that a command of several started last; `pid` finds the workers' ids in its log."""
        *_, last = re.findall(pid, self.log(number).read_text())
        os.kill(int(last), signal.SIGKILL)

    @property
    def _environment(self) -> dict[str, str]:
        path = f"{Path(self.python()).parent}:/usr/bin:/bin"
        return {**self.world.environment, **self.notes, **self.settings, "PATH": path, "PYTHONPATH": str(ROOT)}


class Dramatiq(LibraryContender):
    """dramatiq on Redis: a message that submits, and one that raises `Retry(delay=...)` until it can store.

    It runs with `--processes 2 --threads 16`. Submits and polls have queues and priorities of their own; results go to
    Redis. `dramatiq_worker_timeout` is 200 ms in place of 1 s, which made polls late by as much. `heartbeat_timeout`
    is 30 s, and each process has one urllib3 pool. The SIGKILL hits one worker; dramatiq then ends and is started anew.
    """

    name, peer, needs = "dramatiq", "dramatiq", ("dramatiq",)
    settings = MappingProxyType({"dramatiq_worker_timeout": "200"})

    def start_workers(self) -> None:
        options = ["--processes", "2", "--threads", str(workload.STEPS_AT_ONCE // 2)]
        self.command(0, ["dramatiq", self.module, *options], ready="Worker process is ready for action", times=2)

    def kill(self) -> None:
        self.kill_worker(0, r"\[PID (\d+)\] .*Worker process is ready for action")
        self.processes[0].wait(START_SECONDS)
        super().kill()

    def result_key(self, name: str) -> str:
        return f"dramatiq-results:poll:poll:{name}"

    def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        pipeline = self._results.pipeline(transaction=False)
        for key in keys:
            pipeline.lindex(key, 0)
        return pipeline.execute()


class Arq(LibraryContender):
    """arq: a job that submits, and one that raises `Retry(defer=...)` until it can store.

    Two workers have a queue each, since workers race for the jobs of one queue. One submits, one polls and stores.
    Settings: `max_jobs` 100, `poll_delay` 0.1 s, `job_timeout` 30 s, JSON in place of pickle, one aiohttp session per
    process, puts in threads. arq has an environment of its own, since it wants redis-py before 6. The SIGKILL hits the
    worker that submits.
    """

    name, peer = "arq", "arq"

    @classmethod
    def python(cls) -> str:
        return str(ROOT / ".venv-arq" / "bin" / "python")

    @classmethod
    def missing(cls) -> str | None:
        return None if Path(cls.python()).exists() else INSTALL

    def start_workers(self) -> None:
        for number, settings in enumerate(("submitter", "poller")):
            self.command(number, ["arq", f"{self.module}.{settings}"], ready="redis_version")

    def result_key(self, name: str) -> str:
        return f"arq:result:{name}"


class Taskiq(LibraryContender):
    """taskiq on Redis streams: a task that submits, and one for each poll, sent by taskiq's scheduler when it is due.

    It runs as `taskiq worker --workers 2` and `taskiq scheduler --update-interval 1`. Settings: `RedisStreamBroker`
    with `idle_timeout` 5 s, `ListRedisScheduleSource` in a database of its own, JSON in place of pickle, one aiohttp
    session per process, puts in threads. The scheduler looks once a second, so polls are late by that. The SIGKILL
    hits one worker, which taskiq itself starts anew. Its messages come back with the first new message after
    `idle_timeout`.
    """

    name, peer, needs = "taskiq", "taskiq", ("taskiq", "taskiq_redis")

    def start_workers(self) -> None:
        worker = ["taskiq", "worker", f"{self.module}:broker", "--workers", "2"]
        self.command(0, worker, ready=_LISTENING, times=2)
        scheduler = ["taskiq", "scheduler", f"{self.module}:scheduler", "--update-interval", "1"]
        self.command(1, scheduler, ready="Startup completed")

    def kill(self) -> None:
        before = self._listening()
        self.kill_worker(0, r"worker-0 (?:restarted )?with pid (\d+)")
        if not wait_until(lambda: self._listening() > before, seconds=START_SECONDS):
            raise RuntimeError("taskiq did not restart its worker")

    def _listening(self) -> int:
        return self.log(0).read_text().count(_LISTENING)

    def result_key(self, name: str) -> str:
        return f"taskiq:{name}"


class Huey(LibraryContender):
    """huey: a task that submits, and one scheduled with a delay for each poll.

    Two consumers have 16 threads each (`-w 16 -k thread -n`). Settings: `PriorityRedisExpireHuey`, polls before
    submits, one urllib3 pool per process. Its scheduler looks once a second, so polls are late by that. huey knows no
    acknowledgements: the messages of a killed consumer are gone.
    """

    name, peer, needs = "huey", "huey", ("huey",)

    def start_workers(self) -> None:
        options = ["-w", str(workload.STEPS_AT_ONCE // 2), "-k", "thread", "-n"]
        for number in range(2):
            self.command(number, ["huey_consumer", f"{self.module}.huey", *options], ready="Huey consumer started")

    def result_key(self, name: str) -> str:
        return f"huey.r.bench.{name}"


#: Where a taskiq worker stands once it serves.
_LISTENING = "Listening started"
