"""Callers may do with a job what they may do with any Celery task, and need no library of ours."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import chain, chord, group
from celery.canvas import Signature

from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.other_service import QUEUE
from tests.integration.processes import Process
from tests.integration.raw_message import push
from tests.integration.rig import Rig
from tests.integration.service_worker import worker_of
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


@pytest.fixture(scope="module")
def other_service(deployment: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The worker of another service on the same broker."""
    with worker_of(
        "other_service", QUEUE, url=deployment.redis.url, folder=tmp_path_factory.mktemp("service")
    ) as process:
        yield process


def own(caller: Caller, name: str, **options: str) -> Signature[Any]:
    """A task of the other service."""
    return caller.app.signature(f"other_service.{name}", queue=QUEUE, **options)


def test_a_positional_request(caller: Caller) -> None:
    """The request may be the first positional argument as well as a keyword."""
    result = caller.app.send_task("bide.generate", args=[image()], queue="bide.submit")

    assert succeeded(result)["job_id"] == result.id


def test_a_waiting_job_says_retry(caller: Caller) -> None:
    """While the provider works the caller's result says RETRY, and `get` waits for the end all the same."""
    result = caller.submit(image())

    eventually(lambda: result.state == "RETRY", what="the task is suspended")

    assert succeeded(result)["polls"] >= 1
    assert result.state == "SUCCESS"


@pytest.mark.usefixtures("other_service")
def test_a_linked_task_gets_the_result(caller: Caller) -> None:
    """A callback runs once, with the job's result."""
    linked = str(uuid.uuid4())

    result = caller.submit(image(), link=own(caller, "keys", task_id=linked))

    outcome = succeeded(result)
    assert caller.result_of(linked).get(timeout=PATIENCE_SECONDS) == [outcome["outputs"][0]["key"]]


@pytest.mark.usefixtures("other_service")
def test_an_errback_is_called(caller: Caller) -> None:
    """A job that fails calls the caller's errback."""
    linked = str(uuid.uuid4())

    result = caller.submit(image("[fault:fail:no]"), link_error=own(caller, "sorry", task_id=linked))

    assert failure(result)["code"] == "generation_failed"
    assert caller.result_of(linked).get(timeout=PATIENCE_SECONDS) == f"sorry for {result.id}"


def test_a_group_collects(caller: Caller) -> None:
    """Jobs in a group give their results in its order."""
    named = [f"{number} {marker()}" for number in range(3)]

    results = group([caller.signature(image(name, metadata={"name": name})) for name in named]).apply_async()

    outcomes = results.get(timeout=PATIENCE_SECONDS)
    assert [each["metadata"]["name"] for each in outcomes] == named


@pytest.mark.usefixtures("other_service")
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # Celery's own call, in the caller
def test_a_chord_calls_its_body_once_all_are_there(caller: Caller) -> None:
    """The body gets the results of all jobs."""
    jobs = [caller.signature(image(params={"numImages": number})) for number in (1, 2)]

    result = chord(jobs)(own(caller, "keys"))

    keys = result.get(timeout=PATIENCE_SECONDS)
    assert [key.rpartition("/")[2].partition(".")[0] for key in keys] == ["0", "0", "1"]


@pytest.mark.usefixtures("other_service")
def test_a_chain_goes_on_after_a_job(caller: Caller, rig: Rig) -> None:
    """The next task of a chain gets the job's result."""
    result = chain(caller.signature(image()), own(caller, "keys")).apply_async()

    [key] = result.get(timeout=PATIENCE_SECONDS)
    assert rig.store.read(key)[1]["ContentType"].startswith("image/")


def test_a_message_written_by_hand(rig: Rig) -> None:
    """A client that can push to a Redis list submits a job with one LPUSH, and gets the result with one GET."""
    job_id = push(rig, [[], {"request": image()}, {}])
    with redis.Redis.from_url(rig.redis.url, decode_responses=True) as server:

        def succeeded_meta() -> dict[str, Any] | None:
            meta: dict[str, Any] = json.loads(server.get(f"celery-task-meta-{job_id}") or "{}")
            return meta if meta.get("status") == "SUCCESS" else None

        meta = eventually(succeeded_meta, what="the result is there")
    assert meta["result"]["job_id"] == job_id
