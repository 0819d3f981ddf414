"""Planted secrets stay where they belong, whatever happens to the jobs: every place that can be read is searched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.contract import SUBMIT_QUEUE
from bide.ledger import AccountName, Ledger
from bide.providers import installed
from tests.background import repeated
from tests.faults.canaries import Canary, Place, in_processes, in_redis, strays
from tests.faults.counting import ends
from tests.faults.hostile import Item, message, packed
from tests.faults.planted import CANARIES, JOBS, KEYS, PICTURE, PRIVATE, Pages, PlantedRig, request
from tests.integration.caller import Caller
from tests.integration.processes import ROOT, Process
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantedRig]:
    """A deployment with canaries in it, and with Flower."""
    with PlantedRig(tmp_path_factory.mktemp("planted")) as rig:
        rig.flower.start()
        yield rig


@pytest.fixture(scope="module")
def events(planted: PlantedRig) -> Iterator[list[Place]]:
    """All that is published while the jobs run: events of workers, commands, results."""
    heard: list[Place] = []
    with planted.server() as server, server.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.psubscribe("*")

        def listen() -> None:
            if published := subscription.get_message(timeout=0.2):
                heard.append(Place(f"published on {published['channel']}", str(published["data"])))

        with repeated(listen):
            yield heard


@pytest.fixture(scope="module")
def run(planted: PlantedRig, events: list[Place]) -> list[Place]:
    """All jobs are run; what stood in Redis and on command lines meanwhile."""
    events.clear()  # earlier events are not about these jobs
    seen: list[Place] = []
    planted.sandbox.order([{"fault": "refused", "message": f"bad key {KEYS['photogpt']}", "match": "echo"}])
    with Caller(planted.redis.url) as caller:
        job_ids = {name: caller.submit(each, ignore_result=False).id for name, (each, _) in JOBS.items()}
        canceled = caller.submit(request("[fault:never_finishes]"), ignore_result=False).id
        with planted.server() as server:
            seen += [*in_redis(server), *in_processes()]
            eventually(lambda: planted.state(canceled) == "running", what="a job to cancel runs")
            seen += [*in_redis(server), *in_processes()]
        caller.app.send_task("bide.cancel", args=[canceled], queue="bide.control")
        for name, (_, end) in JOBS.items():
            assert ends(planted, [job_ids[name]]) == {end: 1}, name
        echoed = caller.submit(request("echo"), ignore_result=False).id
        assert ends(planted, [echoed, canceled]) == {"unauthorized": 1, "canceled": 1}
        with planted.server() as server:  # which the refused key has paused
            assert Ledger(server).accounts.resume(AccountName("photogpt", "default"))
        _provoke_tracebacks(planted, caller)
    return seen


def _provoke_tracebacks(rig: Rig, caller: Caller) -> None:
    """Messages that break, a store, a provider and a Redis that go away under work."""
    asked = [[], {"request": request("")}, {}]
    for embedded in ({"chain": [{"task": "x", "options": {"queue": 5}}]}, {"callbacks": PRIVATE}):
        rig_message = message(SUBMIT_QUEUE, body=[*asked[:2], embedded])
        push(rig, Item(SUBMIT_QUEUE, packed(rig_message)))
    push(rig, Item(SUBMIT_QUEUE, packed(message(SUBMIT_QUEUE, body=[[], {"request": [PRIVATE, PICTURE]}, {}]))))
    push(rig, Item(SUBMIT_QUEUE, packed(message(SUBMIT_QUEUE, body=PRIVATE))))
    push(rig, Item(SUBMIT_QUEUE, packed(message(SUBMIT_QUEUE, task=PRIVATE, body=asked))))
    push(rig, Item(SUBMIT_QUEUE, packed(message(SUBMIT_QUEUE, argsrepr=PRIVATE, kwargsrepr=PRIVATE, body=asked))))

    job_ids = [caller.submit(request(""), ignore_result=False).id for _ in range(4)]
    rig.store.process.kill()
    eventually(lambda: "job.store_put_off" in rig.worker.output(), what="a result is put off")
    rig.redis.restart()
    rig.store.process.start()
    ends(rig, job_ids)
    rig.sandbox.kill()
    away = caller.submit(request("", deadline_seconds=3), ignore_result=False).id
    ends(rig, [away])
    rig.sandbox.start()
    rig.redis.restart()


def test_every_installed_provider_is_searched() -> None:
    """With a job that succeeds, and a canary in place of each of its credentials."""
    done = {request["provider"] for request, end in JOBS.values() if end == "succeeded"}
    assert set(installed()) <= done
    named = {canary.name for canary in CANARIES}
    assert {f"{each} of {name}" for name, it in installed().items() for each in it.credentials} <= named


def push(rig: Rig, item: Item) -> None:
    """Lay it on its queue."""
    with rig.server() as server:
        server.lpush(item.queue, item.content)


def test_nothing_stands_in_redis_or_on_command_lines(planted: PlantedRig, run: list[Place]) -> None:
    """While the jobs ran and now that they have ended; requests are where they are needed, and nowhere else."""
    with planted.server() as server:
        now = [*in_redis(server), *in_processes()]

    assert strays(CANARIES, [*run, *now]) == []
    assert strays([Canary("private prompt", PRIVATE)], run), "the search finds what is there"


@pytest.mark.usefixtures("run")
def test_nothing_is_published(events: list[Place]) -> None:
    """Flower and every other listener hear of events and results; neither holds a secret."""
    assert {place.name for place in events} >= {"published on /0.celeryev/task.multi"}
    assert strays(CANARIES, events) == []


@pytest.mark.usefixtures("run")
def test_nothing_is_logged(planted: PlantedRig) -> None:
    """In the logs of all processes, at the level that says the most, tracebacks and all."""
    processes = (planted.worker, planted.poller, planted.flower, planted.store.process)
    logs = [Place(f"log of {each.name}", each.output()) for each in processes]

    assert "Traceback" in logs[0].text
    assert strays(CANARIES, logs) == []


@pytest.mark.usefixtures("run")
def test_flower_shows_nothing(planted: PlantedRig) -> None:
    """Every page and every answer of the API."""
    flower = Pages(planted)
    rows = json.loads(flower.text("/api/tasks?limit=1000"))
    workers = json.loads(flower.text("/api/workers?refresh=true"))
    assert len(rows) > len(JOBS)
    assert len(workers) == 2

    pages = ["/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck", "/api/tasks?limit=1000", "/api/workers"]
    pages += ["/api/workers?refresh=true", "/api/workers?status=true", "/api/task/types", "/api/queues/length"]
    pages += [f"/worker/{name}" for name in workers]
    pages += [f"{page}{task}" for task in rows for page in ("/task/", "/api/task/info/", "/api/task/result/")]
    pages += ["/tasks/datatable?draw=1&start=0&length=1000&search[value]=&order[0][column]=0&order[0][dir]=asc"]
    shown = [Place(f"flower {page}", flower.text(page)) for page in pages]

    assert "\n".join(strays(CANARIES, shown)) == ""


@pytest.mark.usefixtures("run")
def test_nothing_is_stored_with_the_results(planted: PlantedRig) -> None:
    """Names, metadata and headers of all objects, and each `job.json`."""
    places = []
    for key in planted.store.names():
        content, about = planted.store.read(key)
        places.append(Place(f"object {key}", f"{key} {about['Metadata']} {about['ResponseMetadata']['HTTPHeaders']}"))
        if key.endswith(".json"):
            places.append(Place(f"content of {key}", content.decode()))

    assert sum(place.name.startswith("content") for place in places) >= 10
    assert strays(CANARIES, places) == []


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (["-m", "config.settings"], {}),
        (["-m", "config.settings"], {"BIDE_S3__BUCKET": "", "BIDE_PROVIDERS__PHOTOGPT__BASE_URL": KEYS["photogpt"]}),
        (["-m", "workers.doctor"], {}),
        (["-m", "workers.doctor", "--json"], {"AWS_ACCESS_KEY_ID": "another"}),
        (["-m", "workers.health", "worker"], {}),
        (["-m", "workers.catalog", "photogpt", "models"], {}),
        (["-c", "from bide.cli import main; main()", "status", "nobody"], {}),
    ],
    ids=["settings", "wrong settings", "doctor", "doctor, wrong keys", "health", "catalog", "status"],
)
def test_no_command_tells(planted: PlantedRig, command: list[str], changes: dict[str, str]) -> None:
    """What an operator runs, and pastes into a ticket."""
    env = {**planted.environment(), **changes}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    assert done.stdout + done.stderr
    assert strays(CANARIES, [Place(" ".join(command), done.stdout + done.stderr)]) == []


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("name", ["worker", "flower"])
def test_a_process_that_can_not_start_tells_nothing(name: str, planted: PlantedRig, tmp_path: Path) -> None:
    """A wrong setting ends it with a line for each problem, and a broker that is away with an error."""
    env = planted.environment()
    for changes in ({"BIDE_TIMING__LEASE_SECONDS": "-1"}, {"BIDE_BROKER_URL": env["BIDE_BROKER_URL"] + "?db=x"}):
        process = Process.of_procfile(name, env={**env, **changes}, ready="never printed", folder=tmp_path)
        with pytest.raises(AssertionError, match=r"ended at once|not within"):
            process.start()
        process.kill()
        assert strays(CANARIES, [Place(f"log of {name}", process.output())]) == []
