"""A run's whole world in memory: a ledger, a store, providers that are done at once, and feeders that can be killed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import redis

from bide.bulk.intake import take_in
from bide.bulk.reading import RawRow
from bide.bulk.record import Options, Run
from bide.bulk.results import read
from bide.bulk.runs import Runs
from bide.bulk.start import start
from bide.bulk.summary import write_summary
from bide.contract import Failure, FailureCode
from bide.ledger import AccountName, Ledger
from bide.ledger.keys import prefix
from bide.ledger.script import Script
from bide.storage import Storage
from tests.unit.memory_store import memory_storage
from workers.bulk.feeder import Feeder

ACCOUNT = AccountName("photogpt", "default")
PRICES = {"photogpt images.generation": 1_000_000}


class Killed(BaseException):
    """The feeder's process is gone."""


class MortalRuns(Runs):
    """Dies at the n-th script, before or after it ran."""

    scripts_left: int | None = None
    after = False

    def _run(self, prefix: str, script: Script) -> Any:
        if self.scripts_left is None:
            return super()._run(prefix, script)
        self.scripts_left -= 1
        if self.scripts_left < 0 and not self.after:
            raise Killed
        done = super()._run(prefix, script)
        if self.scripts_left < 0:
            raise Killed
        return done


class World:
    """One run at a time, named `r`."""

    def __init__(self, server: redis.Redis) -> None:
        self.server, self.storage = server, memory_storage()
        self.ledger = Ledger(server)
        self.runs = MortalRuns(server)
        self.bought: Counter[str] = Counter()
        #: What cancels rows under way; the provider of most worlds can stop nothing.
        self.stop: Callable[[AccountName, Any], None] = lambda *_: None
        self.feeder = self.new_feeder()

    def new_feeder(self) -> Feeder:
        return Feeder(
            self.runs,
            self.ledger,
            self.storage,
            deadline_seconds=lambda *_: 600.0,
            lane=lambda _: "",
            send=lambda _: None,
            stop=self.stop,
            finish=_finish,
        )

    def begin(self, requests: list[dict[str, Any]], options: Options | None = None) -> bool:
        """Take rows in and begin the run."""
        intake = take_in(RawRow(at, lambda _, each=each: each) for at, each in enumerate(requests, start=1))  # type: ignore[misc]  # mypy can't infer the default
        try:
            return start(
                self.runs, self.storage, intake, run_id="r", source="test", options=options or Options(window=4)
            )
        finally:
            intake.close()

    def feed(self) -> None:
        """Have the feeder do a page of work, as if the run were due now."""
        self.server.zadd("bide:runs", {"r": 0}, xx=True)
        self.feeder.feed("r")

    def die_at(self, script: int, *, after: bool) -> bool:
        """Feed, and kill the feeder at a script; False where it got through before. Its lease has run out then."""
        self.runs.scripts_left, self.runs.after = script, after
        try:
            self.feed()
        except Killed:
            return True
        finally:
            self.runs.scripts_left = None
            self.server.delete("bide:run:r:feeder")
        return False

    def finish_jobs(self, fails: str = "", most: int = 1000) -> int:
        """Providers and workers do all there is to do; prompts that hold `fails` fail."""
        at, ended = prefix(ACCOUNT), 0
        for clock in ("queued", "lease"):
            for job_id in self.server.zrange(at + clock, 0, most - 1):
                self._finish(at, clock, str(job_id), fails)
                ended += 1
        return ended

    def _finish(self, at: str, clock: str, job_id: str, fails: str) -> None:
        request = json.loads(str(self.server.hget(f"{at}body:{job_id}", "request")))
        failure = Failure(code=FailureCode.GENERATION_FAILED, message="no", job_id=job_id)
        failed = bool(fails) and fails in request["params"]["prompt"]
        end = {"state": "failed", "error": failure.model_dump_json()} if failed else {"state": "succeeded"}
        now = time.time()
        result = json.dumps({"outputs": []})
        fields: dict[Any, Any] = {"answered": 1, "result": result, "submitted": now, "finished": now, "polls": 2, **end}
        self.server.hset(f"{at}job:{job_id}", mapping=fields)
        self.server.zrem(at + clock, job_id)
        self.server.srem(f"{at}inflight", job_id)
        self.server.srem(f"{at}told", job_id)
        self.bought[request["params"]["prompt"]] += 1

    def run_to_its_end(self, fails: str = "") -> None:
        """Feed and work until the run is over."""
        for _ in range(100):
            run = self.runs.read("r")
            if run is None or run.over:
                return
            self.feed()
            self.finish_jobs(fails)
        raise AssertionError(f"still {self.runs.read('r')}")

    def run_to_its_end_or_pause(self) -> None:
        """Feed and work for a run that may pause itself."""
        for _ in range(20):
            self.feed()
            self.finish_jobs()

    def lines(self) -> list[dict[str, Any]]:
        return sorted(read(self.storage, "r"), key=lambda line: line["row"])

    def states(self) -> list[str]:
        """How the rows ended, in their order."""
        assert [line["row"] for line in self.lines()] == list(range(1, len(self.lines()) + 1))
        return [line["state"] for line in self.lines()]

    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.storage.get(self.storage.uri("runs/r/summary.json"), max_bytes=10**6))
        return summary


def _finish(_: Runs, storage: Storage, run: Run) -> str:
    """The end of a run without its contact sheet."""
    write_summary(storage, run)
    return run.text("note")


def row(prompt: str, **more: Any) -> dict[str, Any]:
    """A request for one picture."""
    params = {"modelID": "m1", "prompt": prompt, "numImages": 1}
    return {"provider": "photogpt", "operation": "images.generation", "params": params, **more}


def some_rows(count: int) -> list[dict[str, Any]]:
    """Requests that differ in their prompts."""
    return [row(f"fox {number}") for number in range(1, count + 1)]
