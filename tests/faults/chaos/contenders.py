"""The contenders: bide, and plain Celery with two settings; each is started, fed and asked in the same words."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from bide.client import Client
from bide.errors import LedgerAwayError
from bide.providers import installed
from tests.faults.chaos.hosts import Host
from tests.faults.chaos.jobs import Job
from tests.faults.chaos.skew import Skew
from tests.faults.chaos.stage import Ports, Stage
from tests.guild_adapter import QuickGuildAdapter
from tests.integration.processes import procfile

#: Workers and pollers of a run.
WORKERS, POLLERS = 3, 2

#: Whose clock jumps.
SKEWED = ("worker0", "poller0")


@dataclass(frozen=True)
class CallerAnswer:
    """A caller's answer: "succeeded" or a code, the result, and when it was stored [seconds since the epoch]."""

    end: str
    result: dict[str, Any]
    at: float
    #: The accounts that a job with fallbacks has left; not the one that it came to at last.
    left: list[dict[str, Any]] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The message of a failure; '' where it has none of bide's form."""
        return str(_failure(self.result).get("message", ""))


class Contender(ABC):
    """One way to have the jobs done."""

    name: str
    #: The processes that may be killed, and the queues that hold its messages.
    processes: tuple[str, ...]
    queues: tuple[str, ...]

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @abstractmethod
    def start(self, ports: Ports, hosts: list[Host]) -> None:
        """Start the processes; with hosts, spread over them."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Enqueue a job; raises `OSError` or a relative where that fails, and may be done again then."""

    @abstractmethod
    def close(self) -> None:
        """Give connections back."""

    def answers(self, names: list[str]) -> dict[str, CallerAnswer]:
        """The answers that callers have so far."""
        found: dict[str, CallerAnswer] = {}
        with self.stage.server() as server:
            for start in range(0, len(names), 500):
                page = names[start : start + 500]
                metas: Any = server.mget([f"celery-task-meta-{name}" for name in page])
                for name, meta in zip(page, metas, strict=True):
                    if meta and (answer := _answer(json.loads(meta))):
                        found[name] = answer
        return found


class Bide(Contender):
    """The Procfile's processes with the defaults of everything but the polls."""

    name = "bide"
    processes = tuple([f"worker{n}" for n in range(WORKERS)] + [f"poller{n}" for n in range(POLLERS)])
    queues = ("bide.submit", "bide.poll", "bide.store", "bide.control")

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        here = stage.environment(stage.here)
        self._client = Client(here["BIDE_BROKER_URL"], ledger_url=here["BIDE_LEDGER_URL"])
        self._before = installed().get("guild")
        if stage.contracts:  # the client checks requests, too
            installed()["guild"] = QuickGuildAdapter()
        self.skews = {name: Skew(stage.folder, name) for name in SKEWED}

    def start(self, ports: Ports, hosts: list[Host]) -> None:
        lines, env = procfile(), self.stage.environment(ports)
        for number, name in enumerate((*self.processes, "beat")):
            kind = name.rstrip("0123456789")
            ready = "beat: Starting" if kind == "beat" else rf"{kind}-\d+@\S+ ready"
            host = hosts[number % len(hosts)] if hosts else None
            self.stage.add(name, self._command(name, lines[kind]), ready=ready, env=env, host=host)
        self.stage.start()

    def _command(self, name: str, line: str) -> str:
        if name not in self.skews:
            return line
        return f"{sys.executable} -m tests.faults.chaos.skew {self.skews[name].file} {line}"

    def submit(self, job: Job) -> None:
        try:
            self._client.submit(job.request, job_id=job.name)
        except LedgerAwayError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        self._client.close()
        if self.stage.contracts and self._before is None:
            installed().pop("guild", None)


class Plain(Contender):
    """A `self.retry` chain for each job, with Celery's own settings."""

    name, settings = "naive", "default"
    #: Named as bide's are, so that one plan serves both; each process submits, polls and stores.
    processes = Bide.processes
    queues = ("plain",)

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._app = Celery("caller", broker=stage.environment(stage.here)["BIDE_BROKER_URL"], set_as_current=False)
        self._app.conf.task_create_missing_queues = True

    def start(self, ports: Ports, hosts: list[Host]) -> None:
        env = {**self.stage.environment(ports), "PLAIN_SETTINGS": self.settings}
        for number, name in enumerate(self.processes):
            options = f"-Q plain -n {name}-$$@%h -c 6 --without-gossip --without-mingle --loglevel=INFO"
            command = f"{sys.executable} -m celery -A tests.faults.chaos.naive worker {options}"
            host = hosts[number % len(hosts)] if hosts else None
            self.stage.add(name, command, ready=rf"{name}-\d+@\S+ ready", env=env, host=host)
        self.stage.start()

    def submit(self, job: Job) -> None:
        try:
            self._app.send_task(
                "plain.generate", args=(job.request, job.name), task_id=job.name, queue="plain", retry=False
            )
        except OperationalError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        self._app.close()


class Recommended(Plain):
    """Plain Celery with acks_late, reject_on_worker_lost, a prefetch of 1 and a short visibility timeout."""

    name, settings = "recommended", "recommended"


CONTENDERS: dict[str, type[Contender]] = {each.name: each for each in (Bide, Plain, Recommended)}


def _answer(meta: dict[str, Any]) -> CallerAnswer | None:
    if meta["status"] not in ("SUCCESS", "FAILURE"):
        return None
    at = datetime.fromisoformat(meta["date_done"]).timestamp()
    result = meta["result"]
    if meta["status"] == "SUCCESS":
        return CallerAnswer("succeeded", result, at, result.get("tried", []))
    failure = _failure(result)
    return CallerAnswer(str(failure.get("code", result["exc_type"])), result, at, failure.get("tried", [])[:-1])


def _failure(result: dict[str, Any]) -> dict[str, Any]:
    """What the message of a failure says, where it is bide's; {} else."""
    try:
        found = json.loads(result["exc_message"][0])
    except (ValueError, TypeError, LookupError):
        return {}
    return found if isinstance(found, dict) else {}
