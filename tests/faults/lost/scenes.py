"""What is under way when a ledger is lost: plain jobs, jobs with fallbacks, bulk runs, two deployments in a bucket."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from bide.bulk.record import Options
from bide.client import Client
from bide.contract import JobState
from bide.errors import IdempotencyConflictError, JobFailed
from tests.faults.lost.stage import HOME_SECONDS, NeighbourRig, ReceiptRig
from tests.integration.bulk import ENDS, Bulk
from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import eventually


@dataclass(frozen=True)
class Setting:
    """What a scene is given."""

    folder: Path
    jobs: int
    way: str
    receipts: str


class Scene:
    """Jobs of callers who repeat them under their ids."""

    says: ClassVar = "jobs"
    jobs: ClassVar = 1000
    ways: ClassVar[tuple[str, ...]] = ("flushall", "disk")

    def __init__(self, setting: Setting) -> None:
        self.setting, self.marked, self.stack = setting, marker(), ExitStack()
        self.rig = ReceiptRig(setting.folder, settings=self.settings())
        self.rig.receipts = setting.receipts

    def __enter__(self) -> Self:
        with self.stack:
            self.stack.enter_context(self.rig)
            self.opened()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def settings(self) -> Mapping[str, str]:
        """Further variables of the deployment: few at once, where it takes time until a backup is old."""
        return {"BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT": "4"} if self.setting.way == "backup" else {}

    def opened(self) -> None:
        """All processes run."""

    def prompt(self, number: int) -> str:
        """By which a purchase is known in the provider's book."""
        return f"{self.marked} no {number}."

    def requests(self) -> dict[str, dict[str, Any]]:
        """The request of each job."""
        return {f"{self.marked}-{number}": image(self.prompt(number)) for number in range(self.setting.jobs)}

    def job_of(self, purchase: Mapping[str, Any]) -> str:
        """The job that a purchase of the provider's book was for."""
        return f"{self.marked}-{self.number_of(purchase)}"

    def number_of(self, purchase: Mapping[str, Any]) -> str:
        """The number in a prompt."""
        return str(purchase["reference"].partition(f"{self.marked} no ")[2].partition(".")[0])

    def bought(self) -> list[str]:
        """The job of each purchase."""
        return list(map(self.job_of, self.rig.purchases(self.marked)))

    def begin(self) -> None:
        """The callers submit."""
        requests = self.requests()
        with Client(self.rig.redis.url) as client:
            client.submit_many(requests.values(), job_ids=list(requests))

    def enough(self) -> bool:
        """Whether so much is bought that the ledger may be lost."""
        return len(self.own()) >= self.setting.jobs // 3

    def own(self) -> list[str]:
        """The job of each purchase of the deployment that loses its ledger."""
        return [each for each in self.bought() if self.marked in each]

    def lost(self) -> None:
        """The ledger was lost, and nobody has recovered anything yet."""

    def recover_options(self) -> tuple[str, ...]:
        """Those of `bide recover`."""
        return ("--receipts-only",)

    def touched(self, recovered: Mapping[str, Any]) -> int:
        """How many jobs of others a recovery took up."""
        return 0

    def missing(self) -> int:
        """How many jobs of others are neither stored nor on a list, when all have ended."""
        return 0

    def repeat(self) -> Counter[str]:
        """Every caller repeats its request under its id; how all of them end."""
        return _repeated(self.rig, self.requests())


class Fallbacks(Scene):
    """The first account refuses every second job for sure: it goes on at its fallback.

    Callers are impatient: they repeat at once. So their jobs stand in line at the first account before the recovery.
    """

    says = "jobs, half of them with a fallback"
    jobs = 150
    ways = ("flushall",)

    def requests(self) -> dict[str, dict[str, Any]]:
        found = super().requests()
        for number, request in enumerate(found.values()):
            if number % 2:
                other = {**request["params"], "prompt": self.prompt(number)}
                request["params"]["prompt"] += " [fault:status:400]"
                request["fallbacks"] = [
                    {"provider": "photogpt", "operation": request["operation"], "account": "metered", "params": other}
                ]
        return found

    def enough(self) -> bool:
        bought = sum(int(self.number_of(each)) % 2 for each in self.rig.purchases(self.marked))
        return bought >= self.setting.jobs // 6

    def lost(self) -> None:
        self.begin()


class Runs(Scene):
    """Rows of bulk runs, whose people start them again under their names."""

    says = "rows of two bulk runs"
    jobs = 120
    ways = ("flushall", "backup")
    runs = 2

    def opened(self) -> None:
        self.bulk = Bulk(self.rig, self.setting.folder)
        self.stack.callback(self.bulk.close)

    def job_of(self, purchase: Mapping[str, Any]) -> str:
        run, row = divmod(int(self.number_of(purchase)), self.setting.jobs // self.runs)
        return f"{self._name(run)}.{row + 1}"

    def begin(self) -> None:
        _ = self.rig.storage  # its keys stand in the environment from now on
        for run in range(self.runs):
            self.bulk.begin(self._name(run), self._rows(run).values(), self._options())

    def repeat(self) -> Counter[str]:
        ends: Counter[str] = Counter()
        for run in range(self.runs):
            name, rows = self._name(run), self._rows(run)
            try:
                self.bulk.begin(name, rows.values(), self._options())
            except IdempotencyConflictError:  # it is lost: what was bought is jobs, and the rest is a new run
                stored, listed = self.rig.stored(name) & rows.keys(), self.rig.listed() & rows.keys()
                ends.update(succeeded=len(stored), unconfirmed=len(listed - stored))
                rows = {job_id: rows[job_id] for job_id in rows if job_id not in stored | listed}
                name = f"{name}-again"
                self.bulk.begin(name, rows.values(), self._options())
            ends.update(self._ends_of(name))
        ends["submission_unknown"] = ends.pop("unconfirmed", 0)
        return +ends

    def _ends_of(self, name: str) -> dict[str, int]:
        eventually(lambda: self.bulk.run(name).over, what=f"run {name} is over", within_seconds=HOME_SECONDS)
        summary = self.bulk.summary(name)
        return {end: summary[end] for end in ENDS}

    def _options(self) -> Options:
        """Few rows at once: an old backup lacks those that were opened since."""
        return Options(window=8)

    def _rows(self, run: int) -> dict[str, dict[str, Any]]:
        """The rows of a run, by their jobs."""
        size = self.setting.jobs // self.runs
        rows = list(self.requests().values())[run * size : (run + 1) * size]
        return {f"{self._name(run)}.{number}": row for number, row in enumerate(rows, start=1)}

    def _name(self, run: int) -> str:
        return f"{self.marked}-run{run}"


class Two(Scene):
    """Two deployments share bucket and accounts; one of them loses its ledger, the other one goes on."""

    says = "jobs, beside another deployment in the bucket"
    jobs = 100
    ways = ("flushall",)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.other = NeighbourRig(setting.folder / "other", self.rig)
        self.other.receipts = setting.receipts
        self.others_mark = marker()

    def opened(self) -> None:
        self.stack.enter_context(self.other)

    def begin(self) -> None:
        requests = self._others_requests()
        with Client(self.other.redis.url) as client:
            client.submit_many(requests.values(), job_ids=list(requests))
        super().begin()

    def recover_options(self) -> tuple[str, ...]:
        return ()

    def lost(self) -> None:
        eventually(
            lambda: len(self.other.stored(self.others_mark)) >= self.setting.jobs // 3,
            what="a third of the other's jobs are finished",
            within_seconds=HOME_SECONDS,
        )

    def missing(self) -> int:
        there = self.other.stored(self.others_mark) | self.other.listed()
        return len(self._others_requests().keys() - there)

    def touched(self, recovered: Mapping[str, Any]) -> int:
        return sum(self.others_mark in each["job_id"] and each["what"] != "foreign" for each in recovered["jobs"])

    def bought(self) -> list[str]:
        others = self.rig.purchases(self.others_mark)
        return [*super().bought(), *(str(each["reference"]) for each in others)]

    def repeat(self) -> Counter[str]:
        return super().repeat() + _repeated(self.other, self._others_requests())

    def _others_requests(self) -> dict[str, dict[str, Any]]:
        names = [f"{self.others_mark}-{number}" for number in range(self.setting.jobs)]
        return {name: image(name) for name in names}


SCENES: Mapping[str, type[Scene]] = {"plain": Scene, "fallbacks": Fallbacks, "runs": Runs, "two": Two}


def _repeated(rig: Rig, requests: Mapping[str, dict[str, Any]]) -> Counter[str]:
    """Every caller repeats its request under its id, and waits for the end."""
    ends: Counter[str] = Counter()
    with Client(rig.redis.url) as client:
        client.submit_many(requests.values(), job_ids=list(requests))
        for job_id in requests:
            try:
                client.wait(job_id, timeout_seconds=HOME_SECONDS)
                ends[JobState.SUCCEEDED.value] += 1
            except JobFailed as error:
                ends[json.loads(str(error))["code"]] += 1
    return ends
