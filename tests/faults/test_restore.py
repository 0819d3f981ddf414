"""Backup and restore by the commands of docs/operations.md: the ledger's server is lost with jobs in flight."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.client import Client
from bide.ledger import AccountName, Ledger
from bide.ledger.identity import TOLERATED_SECONDS, read_state
from bide.ledger.processes import running
from tests.faults import rehearsal
from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.whole, pytest.mark.timeout(1200)]

ACCOUNT = AccountName("photogpt", "default")

#: Jobs before the backup and after it; few at once at the provider, so that most stand in line.
BEFORE, AFTER, AT_ONCE = 40, 6, 2

#: An account whose jobs are bought at once.
SECOND = "small"


class SmallRig(Rig):
    """A deployment whose jobs stand in line."""

    def environment(self) -> dict[str, str]:
        mine = {"BIDE_LEDGER_URL": self.redis.url, "BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT": str(AT_ONCE)}
        return {**super().environment(), **mine}


class Rehearsal:
    """A deployment, its backup, and the operator who follows the page."""

    def __init__(self, rig: SmallRig, folder: Path) -> None:
        self.rig, self.mark = rig, marker()
        self._folder, self._redis, self._backup = folder, folder / "redis", folder / "backup"
        self._backup.mkdir()

    def follow(self, name: str, *, code: int = 0, **variables: str) -> str:
        """Run the commands of the page that have this name."""
        places = {"REDIS_DIR": str(self._redis), "BACKUP": str(self._backup)}
        return rehearsal.run(name, self.rig.environment(), folder=self._folder, code=code, **places, **variables)

    def submit(self, client: Client, names: range, *, account: str = "default") -> list[str]:
        """Jobs whose prompts are their ids."""
        job_ids = [f"{self.mark}-{number:03}" for number in names]
        return [client.submit(image(job_id, account=account), job_id=job_id) for job_id in job_ids]

    def bought(self) -> dict[str, str]:
        """The provider's id by our own, in the provider's own book; raises `AssertionError` where it has one twice."""
        purchases = self.rig.purchases(self.mark)
        twice = {name for name, number in Counter(one["reference"] for one in purchases).items() if number > 1}
        assert not twice, f"bought twice: {twice}"
        return {one["reference"]: one["id"] for one in purchases}

    def stored(self) -> set[str]:
        """The jobs that have their note, which is written last."""
        keys = self.rig.store.names()
        return {key.split("/")[-2] for key in keys if key.endswith("/job.json")}

    def lose_the_server(self) -> None:
        """The process and its disk."""
        self.rig.redis.kill()
        shutil.rmtree(self._redis)
        self._redis.mkdir()

    def start_redis(self, *, appendonly: bool) -> None:
        """As the page says; in an installation its configuration does that."""
        self.rig.redis._appendonly = appendonly
        self.rig.redis.start()

    def under_way(self, *clocks: str) -> bool:
        """Whether a job stands on one of these clocks."""
        counts = self.rig.counts()
        return any(counts[clock] for clock in clocks)


@pytest.fixture
def rehearsed(tmp_path: Path) -> Iterator[Rehearsal]:
    """A deployment with jobs in line and at the provider."""
    with SmallRig(tmp_path) as rig:
        yield Rehearsal(rig, tmp_path)


def test_a_restored_backup_buys_nothing_twice(rehearsed: Rehearsal) -> None:
    """Each purchase is an object in the end, or its id at the provider is known."""
    rig = rehearsed.rig
    with Client(rig.redis.url) as client:
        known = rehearsed.submit(client, range(BEFORE))
        eventually(lambda: len(rehearsed.bought()) >= 2 * AT_ONCE, what="some jobs are bought, most stand in line")
        rehearsed.follow("backup")
        backed_up_at, bought_then = _looked_at(rig), set(rehearsed.bought())
        unknown = rehearsed.submit(client, range(BEFORE, BEFORE + AFTER), account=SECOND)
        eventually(
            lambda: _looked_at(rig) > backed_up_at + 2 * TOLERATED_SECONDS and rehearsed.under_way("due"),
            what="the backup is old, and jobs are at the provider",
            within_seconds=120,
        )
        assert len(set(rehearsed.bought()) - bought_then) > AT_ONCE
    rehearsed.lose_the_server()
    bought_at_loss = rehearsed.bought()
    eventually(lambda: "ledger.not_looked_at" in rig.worker.output(), what="the worker misses its ledger")
    for process in (rig.worker, rig.poller):
        process.ask_to_end()
        process.wait(60)

    rehearsed.follow("restore")
    rehearsed.start_redis(appendonly=False)
    rehearsed.follow("append")
    assert "went back" in rehearsed.follow("show", code=1)

    rig.mend()
    eventually(lambda: _refused(rig), what="the worker submits nothing")
    eventually(lambda: not rehearsed.under_way("due", "lease"), what="what was at the provider is home")
    bought = rehearsed.bought()
    assert bought == bought_at_loss

    listed = json.loads(rehearsed.follow("list"))["jobs"]
    in_line = {one["job_id"] for one in listed}
    assert in_line & bought.keys(), "nothing of the line was bought since: the rehearsal shows nothing"
    for job_id in sorted(in_line & bought.keys()):
        rehearsed.follow("settle", JOB=job_id, PROVIDER_JOB_ID=bought[job_id])
    rehearsed.follow("confirm")
    eventually(lambda: not rehearsed.under_way("queued", "due", "lease"), what="all come home", within_seconds=180)

    bought, stored = rehearsed.bought(), rehearsed.stored()
    doubtful = _doubtful(rig)
    assert set(known) <= stored | doubtful
    assert doubtful <= bought_then | set(known)
    log = rig.worker.output()
    assert {*unknown} & bought.keys(), "nothing that the backup lacks was bought: the rehearsal shows less"
    assert all(job_id in stored or bought[job_id] in log for job_id in bought if job_id in unknown)
    assert rehearsed.follow("show").startswith("it is the one that it was")


def _looked_at(rig: Rig) -> float:
    with rig.server() as server:
        return read_state(server).looked_at


def _refused(rig: Rig) -> bool:
    with rig.server() as server:
        return any("went back" in process.ledger_refusal for process in running(server))


def _doubtful(rig: Rig) -> set[str]:
    with rig.server() as server:
        return {record.job_id for record in Ledger(server).unconfirmed.records(ACCOUNT)}
