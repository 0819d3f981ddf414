"""One run: jobs under way, the ledger is lost, `bide recover` twice; purchases are counted in the provider's book."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bide.bulk.objects import keys
from bide.cli.stores import object_store
from bide.client import Client
from bide.contract import JobState
from bide.errors import JobFailed
from bide.ledger import Ledger
from tests.integration.caller import image, marker
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

#: How a ledger is lost, in words.
WAYS = {"flushall": "FLUSHALL in mid-flight", "disk": "Redis killed, and started with an empty disk"}

#: How long jobs may take to come home [seconds].
HOME_SECONDS = 240.0


class ReceiptRig(Rig):
    """A deployment with receipts, or without."""

    receipts = "s3"

    def environment(self) -> dict[str, str]:
        return super().environment() | {"BIDE_LEDGER__RECEIPTS": self.receipts}


@dataclass
class Count:
    """What became of the jobs of one run."""

    way: str
    receipts: str
    jobs: int
    #: Purchases when the ledger was lost, and how many of their results were stored by then.
    bought: int = 0
    stored: int = 0
    #: Purchases of then that were stored after the recovery, that stand on the operators' list, and that do neither.
    home: int = 0
    listed: int = 0
    lost: int = 0
    #: Jobs that were bought twice, after their callers had repeated all of them.
    bought_twice: int = 0
    #: How the callers' jobs ended in the end.
    ends: dict[str, int] = field(default_factory=dict)
    recover_seconds: float = 0.0


def run(way: str, *, jobs: int, receipts: str = "s3") -> Count:
    """Submit jobs, lose the ledger while they are under way, make it again, and have all callers repeat theirs."""
    marked, count = marker(), Count(way, receipts, jobs)
    with tempfile.TemporaryDirectory(prefix="bide-lost-") as folder:
        rig = ReceiptRig(Path(folder))
        rig.receipts = receipts
        with rig:
            requests = {f"{marked}-{number}": image(f"{marked} no {number}.") for number in range(jobs)}
            with Client(rig.redis.url) as client:
                client.submit_many(requests.values(), job_ids=list(requests))
            eventually(
                lambda: len(rig.purchases(marked)) >= jobs // 3,
                what="a third of the jobs are bought",
                within_seconds=HOME_SECONDS,
            )
            _lose(rig, way, Path(folder))
            _settled(rig, marked)
            bought = {_job_of(each, marked) for each in rig.purchases(marked)}
            count.bought, count.stored = len(bought), len(_stored(rig, marked))
            if receipts == "s3":
                began = time.monotonic()
                _command(rig, "workers.recover", "--json", "--receipts-only")
                count.recover_seconds = round(time.monotonic() - began, 1)
                again = json.loads(_command(rig, "workers.recover", "--json", "--receipts-only"))
                assert {each["what"] for each in again["jobs"]} <= {"known", "not_bought"}, again["counts"]
                eventually(lambda: _no_more_under_way(rig), what="all come home", within_seconds=HOME_SECONDS)
            listed, stored = _listed(rig), _stored(rig, marked)
            count.home, count.listed = len(bought & stored), len(bought & listed - stored)
            count.lost = len(bought - stored - listed)
            _command(rig, "ledger", "confirm", "--yes", program="bide")
            count.ends = dict(_repeated(rig, requests))
            times = Counter(_job_of(each, marked) for each in rig.purchases(marked))
            count.bought_twice = sum(number > 1 for number in times.values())
    return count


def _lose(rig: Rig, way: str, folder: Path) -> None:
    if way == "flushall":
        with rig.server() as server:
            server.flushall()
        return
    rig.redis.kill()
    for each in (folder / "redis").iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each.name != "log":
            each.unlink()
    rig.redis.start()


def _settled(rig: Rig, marked: str) -> None:
    """Wait until nothing more is bought: submits under way have their answers, and what follows them is written."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 3.0:
        if (now := len(rig.purchases(marked))) != before:
            before, since = now, time.monotonic()
        time.sleep(0.1)


def _job_of(purchase: dict[str, Any], marked: str) -> str:
    number = purchase["reference"].partition(f"{marked} no ")[2].partition(".")[0]
    return f"{marked}-{number}"


def _stored(rig: Rig, marked: str) -> set[str]:
    """The jobs of which a `job.json` stands in the bucket."""
    storage = object_store(rig.environment())
    assert storage is not None
    return {key.split("/")[-2] for key in keys(storage, "20") if key.endswith("/job.json") and marked in key}


def _listed(rig: Rig) -> set[str]:
    """The jobs on the operators' list."""
    with rig.server() as server:
        ledger = Ledger(server)
        return {each.job_id for name in ledger.accounts.names() for each in ledger.unconfirmed.doubtful(name)}


def _no_more_under_way(rig: Rig) -> bool:
    counts = rig.counts()
    return not any(counts.get(name) for name in ("due", "lease"))


def _repeated(rig: Rig, requests: dict[str, dict[str, Any]]) -> Counter[str]:
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


def _command(rig: Rig, *words: str, program: str = "") -> str:
    """What a command of the deployment prints, or of the program beside Python; it must end well."""
    first = [str(Path(sys.executable).with_name(program))] if program else [sys.executable, "-m"]
    done = subprocess.run(
        [*first, *words], env=rig.environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout
