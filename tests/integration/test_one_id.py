"""Two requests under one task id, sent by plain Celery clients: the second is refused, the first keeps its result."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.test_ids import sent_to
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

#: Slow enough for a second request to come while the first is at the provider.
SLOW = "[fault:slow:1 operation=submit]"


def refused(rig: Rig, caller: Caller, request: Any, job_id: str) -> None:
    """Send a request under an id in use: its error callback is called, and the worker logs why."""
    errors = f"errors-{marker()}"
    caller.submit(request, task_id=job_id, link_error=caller.app.signature("other_service.answered", queue=errors))
    with rig.server() as server:
        eventually(lambda: sent_to(server, errors), what="its error callback")
        server.delete(errors)


def _prompt(request: dict[str, Any], prompt: str) -> dict[str, Any]:
    return {**request, "params": {**request["params"], "prompt": prompt}}


OTHERS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "prompt": _prompt,
    "account": lambda request, second: {**_prompt(request, second), "account": "small"},
    "key": lambda request, second: {**_prompt(request, second), "idempotency_key": second},
    "metadata": lambda request, second: {**_prompt(request, second), "metadata": {"order": "2"}},
    "provider": lambda _, second: {
        "provider": "dreambooth", "operation": "text2img", "params": {"prompt": second, "model_id": "m"},
    },
}  # fmt: skip


@pytest.mark.parametrize("moment", ["under way", "ended"])
@pytest.mark.parametrize("other", OTHERS)
def test_a_second_request_is_refused(rig: Rig, caller: Caller, other: str, moment: str) -> None:
    """Whatever it differs in, and whether the first is under way or has ended."""
    first, second, job_id = marker(), marker(), str(uuid.uuid4())
    request = image(f"{first} {SLOW}" if moment == "under way" else first)
    result = caller.submit(request, task_id=job_id)
    if moment == "ended":
        succeeded(result)
    else:
        eventually(lambda: rig.state(job_id) or None, what="a record")

    refused(rig, caller, OTHERS[other](request, second), job_id)

    outcome = succeeded(result)
    assert (outcome["job_id"], outcome["provider"], outcome["metadata"]) == (job_id, "photogpt", {})
    assert (len(rig.purchases(first)), len(rig.purchases(second))) == (1, 0)


def test_of_two_requests_at_once_one_is_refused(rig: Rig, caller: Caller) -> None:
    """Both messages are in the queue before either has a record: one is bought, and its result is that of the id."""
    errors = f"errors-{marker()}"
    errback = caller.app.signature("other_service.answered", queue=errors)
    pairs = {str(uuid.uuid4()): (marker(), marker()) for _ in range(5)}

    for job_id, marks in pairs.items():
        for mark in marks:
            caller.submit(image(mark, metadata={"mark": mark}), task_id=job_id, link_error=errback)

    bought = {job_id: succeeded(caller.result_of(job_id))["metadata"]["mark"] for job_id in pairs}
    with rig.server() as server:
        eventually(lambda: len(sent_to(server, errors)) == len(pairs), what="the error callbacks")
        refused_ids = [job_id for [job_id] in sent_to(server, errors)]
        server.delete(errors)
    assert sorted(refused_ids) == sorted(pairs)
    for job_id, marks in pairs.items():
        assert [len(rig.purchases(mark)) for mark in marks] == [int(mark == bought[job_id]) for mark in marks]


@pytest.mark.parametrize("moment", ["under way", "ended"])
def test_the_id_of_a_follower_is_taken(rig: Rig, caller: Caller, moment: str) -> None:
    """A caller that waits for another caller's job, or had its result: its id is nobody else's."""
    key, second, job_id = marker(), marker(), str(uuid.uuid4())
    request = image(f"{key} {SLOW}" if moment == "under way" else key, idempotency_key=key)
    leader = caller.submit(request)
    eventually(lambda: rig.state(leader.id) or None, what="a record")
    if moment == "ended":
        succeeded(leader)
    follower: AsyncResult[Any] = caller.submit(request, task_id=job_id)
    eventually(lambda: follower.state != "PENDING" or None, what="it follows")

    refused(rig, caller, image(second), job_id)
    refused(rig, caller, image(second, account="small"), job_id)

    assert succeeded(follower) == succeeded(leader)
    assert (len(rig.purchases(key)), rig.purchases(second)) == (1, [])


def test_the_same_request_again_is_the_same_job(rig: Rig, caller: Caller) -> None:
    """A message that a client sent twice is no second request."""
    marked, job_id = marker(), str(uuid.uuid4())

    results = [caller.submit(image(marked), task_id=job_id) for _ in range(3)]

    assert len({json.dumps(succeeded(result)) for result in results}) == 1
    assert len(rig.purchases(marked)) == 1


@pytest.mark.parametrize(
    "request_",
    [{"provider": "nobody", "operation": "x"}, image(account="nobody"), image(params={"numImages": 1000})],
    ids=["provider", "account", "params"],
)
def test_a_second_request_that_can_not_be_done_is_refused(rig: Rig, caller: Caller, request_: Any) -> None:
    """It changes nothing of the first."""
    marked, job_id = marker(), str(uuid.uuid4())
    outcome = succeeded(caller.submit(image(marked), task_id=job_id))

    refused(rig, caller, request_, job_id)

    assert caller.result_of(job_id).get() == outcome
    assert len(rig.purchases(marked)) == 1
