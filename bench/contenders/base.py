"""What every contender can do, in the same words: be started, fed, asked, killed and ended."""

from __future__ import annotations

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

from bench import workload
from bench.servers import World, end, spawn, wait_until

Dues = dict[str, list[float]]


#: How long a process may take until it serves, on a machine that has other things to do [seconds].
START_SECONDS = 120.0

#: Installs the peers.
INSTALL = "make peers"


@dataclass(frozen=True)
class Launch:
    """How a process was started, so that it can be started anew."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    #: What its log says once it serves, and how often.
    ready: str
    times: int


class Contender(ABC):
    """One way to have the jobs done. Jobs have names, which begin with the contender's."""

    name: str

    #: Modules it can't run without, beyond those of the development environment.
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, world: World) -> None:
        self.world = world
        self.processes: list[subprocess.Popen[str]] = []
        self._launches: list[Launch] = []

    @classmethod
    def missing(cls) -> str | None:
        """The command that installs what it needs; None where all is there."""
        return INSTALL if any(find_spec(module) is None for module in cls.needs) else None

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

    def dues(self) -> Dues:
        """When each poll so far was due, by the provider's job id [seconds since the epoch]."""
        return read_dues(self.world.dues_file(self.name))

    def kill(self) -> None:
        """SIGKILL one process that has jobs in hand, and start it anew; returns once it serves."""
        destroy(self.processes[0])
        self.processes[0] = self._started(self._launches[0])

    def stop(self) -> None:
        """End its processes, and what they leave behind."""
        for process in self.processes:
            end(process)
            _end_group(process)
        self.processes.clear()
        self._launches.clear()

    def launch(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, ready: str, times: int = 1
    ) -> None:
        """Start a process that says `ready`, so many times, once it serves, and wait for that."""
        launch = Launch(name, command, environment, ready, times)
        self.processes.append(self._started(launch))
        self._launches.append(launch)

    @property
    def notes(self) -> dict[str, str]:
        """Tells a process where to write down its due times."""
        return {workload.DUES_VARIABLE: str(self.world.dues_file(self.name))}

    def log(self, number: int) -> Path:
        """What one of its processes says."""
        return self._log(self._launches[number])

    def _log(self, launch: Launch) -> Path:
        return self.world.folder / f"{launch.name}.log"

    def _started(self, launch: Launch) -> subprocess.Popen[str]:
        log = self._log(launch)
        log.touch()
        length_before = len(log.read_text())
        # in a group of its own, so that `destroy` reaches what it forks
        command = ["setsid", *launch.command]
        process = spawn(command, {**self.world.environment, **launch.environment}, log=log)

        def serves() -> bool:
            return log.read_text()[length_before:].count(launch.ready) >= launch.times

        up = wait_until(lambda: process.poll() is not None or serves(), seconds=START_SECONDS)
        if not up or process.poll() is not None:
            destroy(process)
            raise RuntimeError(f"{launch.name} did not start:\n{log.read_text()[-2000:]}")
        return process

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def destroy(process: subprocess.Popen[str]) -> None:
    """SIGKILL a process and all that it forked, as when its container is killed."""
    _end_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def _end_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def read_dues(file: Path) -> Dues:
    """The notes of a contender, a line each: the provider's job id and the time."""
    dues: Dues = defaultdict(list)
    for line in _lines(file):
        provider_job_id, _, moment = line.partition(" ")
        dues[provider_job_id].append(float(moment))
    return dues


def _lines(file: Path) -> Iterable[str]:
    return file.read_text().splitlines() if file.exists() else ()
