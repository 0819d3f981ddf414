"""Callbacks of a plain Celery app, which names no queue: each reaches a worker of that app, and none is lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import Signature

from tests.integration import plain_service
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.plain_service import count, done, noted, sorry
from tests.integration.processes import Process
from tests.integration.rig import Rig
from tests.integration.service_worker import worker_of
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("rig", "service"),
    # Celery's own call, in the caller
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

#: Makes a workflow of jobs; it is called with a caller.
Workflow = Callable[[Caller], Signature[Any]]


@pytest.fixture(scope="module")
def service(deployment: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The service's worker on its default queue and on another one, without a setting of bide's."""
    folder = tmp_path_factory.mktemp("service")
    with worker_of("plain_service", "celery", "orders", url=deployment.redis.url, folder=folder) as process:
        yield process


@pytest.fixture(scope="module")
def caller(deployment: Rig) -> Iterator[Caller]:
    """The service's side that submits: the same app."""
    plain_service.app.conf.update(broker_url=deployment.redis.url, result_backend=deployment.redis.url)
    with Caller(deployment.redis.url, app=plain_service.app) as caller:
        yield caller


def linked(caller: Caller, callback: Signature[Any], **options: Any) -> tuple[Any, str]:
    """A job with this callback: what the callback returns, and the job's id."""
    called = str(uuid.uuid4())
    job = caller.submit(image(), link=callback.clone().set(task_id=called, **options))
    assert succeeded(job)["job_id"] == job.id
    return caller.result_of(called).get(timeout=PATIENCE_SECONDS), job.id


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"queue": "celery"},
        {"queue": "orders"},
        {"routing_key": "orders"},
        {"exchange": "orders", "routing_key": "orders"},
        {"exchange": "celery", "routing_key": "celery"},
        {"exchange": "", "routing_key": "orders"},
        {"priority": 3, "countdown": 0.1},
        # bide's own queues: no worker there has the service's task
        {"queue": "bide.submit"},
        {"queue": "bide.control"},
        {"exchange": "bide", "routing_key": "bide.submit"},
        {"exchange": "bide.submit", "routing_key": "bide.submit"},
        {"exchange": "", "routing_key": "bide.store"},
    ],
    ids=str,
)
def test_a_callback_reaches_its_service(caller: Caller, options: dict[str, Any]) -> None:
    """Where it names its queue, there; where it names none, or one of bide's, at Celery's default."""
    outcome, job_id = linked(caller, done.s(), **options)

    assert outcome == [job_id]


def test_an_immutable_callback_keeps_its_arguments(caller: Caller) -> None:
    """It takes no result."""
    assert linked(caller, noted.si(7))[0] == 7


def test_each_of_many_callbacks_is_called(caller: Caller) -> None:
    """A list of links: tasks, and a group."""
    ids = [str(uuid.uuid4()) for _ in range(4)]
    plain = [done.s().set(task_id=ids[0]), noted.si(9).set(task_id=ids[1])]
    grouped = group(done.s().set(task_id=ids[2]), noted.si(8).set(task_id=ids[3]))

    job = caller.submit(image(), link=[*plain, grouped])

    outcomes = [caller.result_of(called).get(timeout=PATIENCE_SECONDS) for called in ids]
    assert outcomes == [[job.id], 9, [job.id], 8]


def test_an_error_callback_reaches_its_service(caller: Caller) -> None:
    """It gets the id of the job that failed."""
    called = str(uuid.uuid4())

    job = caller.submit(image("[fault:fail:no]"), link_error=sorry.s().set(task_id=called))

    assert failure(job)["code"] == "generation_failed"
    assert caller.result_of(called).get(timeout=PATIENCE_SECONDS) == f"sorry for {job.id}"


def _job(caller: Caller, **options: Any) -> Signature[Any]:
    return caller.signature(image(), **options)


@pytest.mark.parametrize(
    ("workflow", "queue", "outcome"),
    [
        (lambda caller: chain(_job(caller), done.s(), count.s()), None, 1),
        (lambda caller: chain(_job(caller), done.s(), count.s()), "bide.submit", 1),
        (lambda caller: chain(_job(caller), chain(done.s(), count.s(factor=5))), None, 5),
        (lambda caller: chain(noted.s(1), _job(caller, immutable=True), done.s(), count.s()), None, 1),
        (lambda caller: chain(_job(caller), group(done.s(), done.s()), count.s()), None, 2),
        (lambda caller: chord([_job(caller), _job(caller)], done.s() | count.s()), None, 2),
        (lambda caller: chord([_job(caller), _job(caller)], done.s() | count.s()), "bide.submit", 2),
        (lambda caller: chord([_job(caller), noted.si(1)], noted.si(4)), None, 4),
        (lambda caller: group(_job(caller), _job(caller)) | done.s() | count.s(), "bide.submit", 2),
        (lambda caller: chord([chain(_job(caller), done.s()), chain(_job(caller), done.s())], count.s()), None, 2),
        (lambda caller: chain(_job(caller), noted.map([1, 2, 3])), None, [1, 2, 3]),
        (lambda caller: chain(_job(caller), noted.chunks([(1,), (2,)], 2).group()), None, [1, 2]),
    ],
    ids=[
        "chain",
        "chain with a queue",
        "chain in a chain",
        "job between tasks",
        "group after a job",
        "chord",
        "chord with a queue",
        "job beside a task",
        "group with a queue",
        "chord of chains",
        "map",
        "chunks",
    ],
)
def test_a_workflow_goes_on_at_its_service(caller: Caller, workflow: Workflow, queue: str | None, outcome: Any) -> None:
    """`chord` and `group` give a queue that they are sent with to the task behind the jobs, too."""
    options: dict[str, Any] = {"queue": queue} if queue else {}

    result = workflow(caller).apply_async(**options)

    assert result.get(timeout=PATIENCE_SECONDS) == outcome


@pytest.mark.parametrize("options", [{}, {"queue": "orders"}, {"queue": "bide.control"}], ids=str)
@pytest.mark.parametrize("place", ["link", "link_error"])
def test_a_job_may_follow_a_job(rig: Rig, caller: Caller, place: str, options: dict[str, str]) -> None:
    """A job as callback goes to bide's queue, whatever queue it names: no other worker has it."""
    marked, job_id = marker(), str(uuid.uuid4())
    next_job = caller.app.signature(
        "bide.generate", kwargs={"request": image(marked)}, immutable=True, task_id=job_id, **options
    )

    caller.submit(image("[fault:fail:no]" if place == "link_error" else "first"), **{place: next_job})

    assert succeeded(caller.result_of(job_id))["job_id"] == job_id
    assert len(rig.purchases(marked)) == 1


def test_a_callback_in_a_queue_that_bide_lacks_buys_nothing(rig: Rig, caller: Caller) -> None:
    """A misspelt queue of bide's would make an error of the job's answer at its end: its message is rejected."""
    marked = marker()

    caller.submit(image(marked), link=done.s().set(queue="bide.sumbit"))
    succeeded(caller.submit(image()))

    assert rig.purchases(marked) == []


def test_no_result_is_kept_where_the_caller_wants_none(rig: Rig, caller: Caller) -> None:
    """`ignore_result=True`: Celery has no state of the job from its first step on, its callback is called."""
    called = str(uuid.uuid4())

    kept = caller.submit(image())
    jobs = [
        caller.submit(image(), ignore_result=True, link=done.s().set(task_id=called)),
        caller.submit(image("[fault:fail:no]"), ignore_result=True),
    ]

    assert caller.result_of(called).get(timeout=PATIENCE_SECONDS) == [jobs[0].id]
    eventually(lambda: [rig.state(job.id) for job in jobs] == ["succeeded", "failed"], what="both end")
    succeeded(kept)
    with rig.server() as server:
        found = [server.exists(f"celery-task-meta-{job.id}") for job in (*jobs, kept)]
    assert found == [0, 0, 1]
