"""One run: clients submit jobs, servers fail, and at the end every job is counted in the provider's own book."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from bide.client import Client
from bide.errors import LedgerAwayError
from bide.ledger import AccountName, Ledger
from tests.faults.failover.scenes import SCENES, Scene
from tests.faults.failover.setup import PLAIN, ReplicatedRig
from tests.integration.caller import image, marker
from tests.integration.replicated_redis import MASTER

#: How long no further caller may get an answer before the rest counts as lost [seconds].
PATIENCE_SECONDS = 120.0

#: The same once the ledger has no job under way [seconds]: callers get their answers before a job counts as over.
IDLE_SECONDS = 15.0

ACCOUNT = AccountName("photogpt", "default")

#: How long a caller goes on to submit a job that was not accepted [seconds].
INSIST_SECONDS = 90.0

Submit = Callable[[dict[str, Any], str], object]

#: How many callers submit at once, and how long they take for all jobs if nothing goes wrong [seconds].
CALLERS, SUBMIT_SECONDS = 8, 12.0


@dataclass
class Count:
    """What became of the jobs of one run."""

    jobs: int
    accepted: int = 0
    #: How callers that got an answer learned of the end, by its word.
    ends: dict[str, int] = field(default_factory=dict)
    #: Accepted by `Client.submit`, and its caller got no answer.
    lost: int = 0
    #: The states in which the lost ones' records are at the end; "" for no record.
    lost_in: dict[str, int] = field(default_factory=dict)
    bought_twice: int = 0
    submit_ms: list[float] = field(default_factory=list)
    bought: int = 0


def run(scene_name: str, *, safe: str, seed: int, jobs: int, keep: Path | None = None) -> Count:
    """Play one scene; takes the scene's time, and as long as the last job takes."""
    scene = SCENES[scene_name]
    with tempfile.TemporaryDirectory(prefix="bide-failover-") as folder:
        at = keep or Path(folder)
        at.mkdir(exist_ok=True)
        with ReplicatedRig(at, safe=safe, bounded=scene.bounded, in_flight=scene.in_flight) as rig:
            return _played(rig, scene, Random(seed), jobs, safe)


def _played(rig: ReplicatedRig, scene: Scene, random: Random, jobs: int, safe: str) -> Count:
    marked, count = marker(), Count(jobs)
    with (
        _submits(rig, safe) as submit,
        ThreadPoolExecutor(CALLERS) as callers,
        ThreadPoolExecutor(1) as director,
    ):
        playing = director.submit(scene.play, rig.replicated, random)
        gap = SUBMIT_SECONDS / jobs
        submitted = []
        for number in range(jobs):
            submitted.append(callers.submit(_insist, submit, f"{marked} {number:03}", f"{marked}-{number:03}"))
            time.sleep(gap)
        accepted = [found for one in submitted if (found := one.result()) is not None]
        playing.result()
        count.accepted, count.submit_ms = len(accepted), [ms for _, ms in accepted]
        job_ids = [job_id for job_id, _ in accepted]
        ends = _answers(rig, job_ids, _nothing_under_way if safe != PLAIN else lambda _: False)
    count.ends = dict(Counter(ends.values()))
    lost = [job_id for job_id in job_ids if job_id not in ends]
    count.lost, count.lost_in = len(lost), dict(_states(rig, lost))
    bought = Counter(purchase["reference"] for purchase in rig.purchases(marked))
    count.bought, count.bought_twice = len(bought), sum(number > 1 for number in bought.values())
    return count


@contextmanager
def _submits(rig: ReplicatedRig, safe: str) -> Iterator[Submit]:
    """How callers submit a job, by its request and its id."""
    if safe != PLAIN:
        with Client(rig.redis.url, sentinel_master=MASTER) as client:
            yield lambda request, job_id: client.submit(request, job_id=job_id)
        return
    app = Celery("caller", broker=rig.redis.url, set_as_current=False)
    app.conf.update(task_create_missing_queues=True, broker_transport_options={"master_name": MASTER})
    with closing(app):
        yield lambda request, job_id: app.send_task(
            "plain.generate", args=({"inputs": {}, **request}, job_id), task_id=job_id, queue="plain", retry=False
        )


def _insist(submit: Submit, prompt: str, job_id: str) -> tuple[str, float] | None:
    """A careful caller: a submit that fails is made again under the same id. The id, and how long the last one took."""
    until = time.monotonic() + INSIST_SECONDS
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            submit(image(prompt), job_id)
        except (LedgerAwayError, redis.RedisError, OperationalError):
            time.sleep(0.2)
        else:
            return job_id, 1000 * (time.monotonic() - began)
    return None


def _states(rig: ReplicatedRig, job_ids: list[str]) -> Counter[str]:
    ledger = Ledger(rig.replicated.leader().client)
    records = [ledger.jobs.read(ACCOUNT, job_id) for job_id in job_ids]
    return Counter(str(record.state) if record else "" for record in records)


def _answers(rig: ReplicatedRig, job_ids: list[str], idle: Callable[[redis.Redis], bool]) -> dict[str, str]:
    """The answers in Celery's result backend on the leader of now: callers wait for nothing else."""
    found: dict[str, str] = {}
    told_at = idle_since = time.monotonic()
    while len(found) < len(job_ids):
        rig.start_what_ended()
        leader = rig.replicated.leader()
        for job_id in job_ids:
            if job_id not in found and (end := _end(leader.client, job_id)):
                found[job_id] = end
                told_at = time.monotonic()
        if not idle(leader.client):
            idle_since = time.monotonic()
        now = time.monotonic()
        if now - told_at > PATIENCE_SECONDS or min(now - told_at, now - idle_since) > IDLE_SECONDS:
            break
        time.sleep(0.5)
    return found


def _nothing_under_way(server: redis.Redis) -> bool:
    counts = Ledger(server).accounts.count_clocks(ACCOUNT)
    return not any(counts[name] for name in ("queued", "lease", "due"))


def _end(server: redis.Redis, job_id: str) -> str:
    meta = json.loads(str(server.get(f"celery-task-meta-{job_id}") or "{}"))
    if meta.get("status") == "SUCCESS":
        return str(meta["result"]["state"])
    if meta.get("status") != "FAILURE":
        return ""
    message = (meta["result"].get("exc_message") or [""])[0]
    try:
        return str(json.loads(message)["code"])
    except (ValueError, TypeError, KeyError):  # plain Celery's tasks fail by any error
        return str(meta["result"]["exc_type"])
