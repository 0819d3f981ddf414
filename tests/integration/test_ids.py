"""A job id names one job in the whole deployment, and no header of a message changes which."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
import redis

from bide.client import Client
from bide.errors import IdempotencyConflictError
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.raw_message import push
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

#: A message of bide's own: no request.
NO_REQUEST: list[Any] = [[], {}, {}]


def sent_to(server: redis.Redis, queue: str) -> list[Any]:
    """The arguments of the messages in a queue that nobody consumes."""
    messages = [json.loads(text) for text in server.lrange(queue, 0, -1)]
    return [json.loads(base64.b64decode(message["body"]))[0] for message in messages]


def test_an_id_is_bought_for_one_account(rig: Rig, caller: Caller) -> None:
    """A second job of that id is refused: the result and the objects stay those of the first."""
    first, second, job_id, errors = marker(), marker(), str(uuid.uuid4()), f"errors-{marker()}"
    result = succeeded(caller.submit(image(first), task_id=job_id))

    errback = caller.app.signature("other_service.answered", queue=errors)
    caller.submit(image(second, account="small"), task_id=job_id, link_error=errback)

    with rig.server() as server:
        eventually(lambda: sent_to(server, errors), what="its error callback")
        server.delete(errors)
    assert caller.result_of(job_id).get() == result
    assert rig.purchases(second) == []
    eventually(lambda: "belongs to another job" in rig.worker.output(), what="the line of the refusal")


def test_a_client_hears_of_an_id_in_use(rig: Rig, caller: Caller) -> None:
    """Also where the other job has another account and another provider."""
    job_id, marked = str(uuid.uuid4()), marker()
    result = caller.submit(image(marked), task_id=job_id)
    succeeded(result)

    with Client(rig.redis.url) as client, pytest.raises(IdempotencyConflictError, match="job id was used"):
        client.submit(
            {"provider": "dreambooth", "operation": "text2img", "params": {"prompt": marked, "model_id": "m"}},
            job_id=job_id,
        )

    assert len(rig.purchases(marked)) == 1


@pytest.mark.parametrize("account", ["photogpt/small", "photogpt/nobody", "dreambooth/default", "a}b/c", "", 5])
def test_a_forged_account_changes_nothing(rig: Rig, caller: Caller, account: object) -> None:
    """Neither for a job under way nor for one that has ended: the ledger knows whose it is."""
    marked = marker()
    result = caller.submit(image(f"{marked} [fault:slow:1 operation=submit]"))
    eventually(lambda: rig.state(result.id) or None, what="a record")

    push(rig, NO_REQUEST, id=result.id, bide_account=account)
    outcome = succeeded(result)
    push(rig, NO_REQUEST, id=result.id, bide_account=account)
    succeeded(caller.submit(image()))

    assert caller.result_of(result.id).get() == outcome
    assert len(rig.purchases(marked)) == 1


def test_no_caller_hears_of_a_job_without_a_record(rig: Rig, caller: Caller) -> None:
    """A forged message, or one whose record has expired, says nothing about what was bought."""
    job_id = str(uuid.uuid4())

    push(rig, NO_REQUEST, id=job_id, bide_account="photogpt/default")
    succeeded(caller.submit(image()))

    assert caller.result_of(job_id).state == "PENDING"


def test_a_caller_whose_record_was_lost_learns_what_is_not_known(rig: Rig, caller: Caller) -> None:
    """The job was suspended, so it may have been bought: its caller must not hear that it was not."""
    result = caller.submit(image(f"{marker()} [fault:never_finishes]"))
    eventually(lambda: rig.state(result.id) == "running" or None, what="a job at the provider")
    with rig.server() as server:
        server.delete(f"bide:{{photogpt/default}}:job:{result.id}", f"bide:{{photogpt/default}}:body:{result.id}")

    push(rig, NO_REQUEST, id=result.id, bide_account="photogpt/default")

    outcome = failure(result)
    assert outcome["code"] == "submission_unknown"
    assert "provider" in outcome["message"]


def test_a_message_without_a_request_is_refused(rig: Rig, caller: Caller) -> None:
    """A caller that forgot it: no job of that id ever began."""
    job_id = str(uuid.uuid4())

    push(rig, NO_REQUEST, id=job_id)

    assert failure(caller.result_of(job_id))["code"] == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        {"task": "bide.bulk", "lang": "js"},
        {"id": "another", "root_id": "another"},
        {"compression": "application/x-gzip"},
        {"bide_account": "photogpt/nobody"},
        {"eta": "2999-01-01T00:00:00+00:00", "expires": "2000-01-01T00:00:00+00:00", "timelimit": [1, 1]},
        {"argsrepr": "x", "kwargsrepr": "x", "retries": 99},
        {"headers": {"task": "bide.bulk", "id": "another"}},
        {"CC": ["another"], "BCC": ["another"], "x-delay": 1000},
        {"stamps": {"a": "b"}, "stamped_headers": ["a"]},
    ],
    ids=["task", "id", "compression", "account", "times", "facts", "nested", "routing", "stamps"],
)
def test_headers_of_a_message_stay_its_own(rig: Rig, caller: Caller, headers: dict[str, Any]) -> None:
    """Later messages of the job carry on its trace and nothing else, so that each of its steps is taken."""
    marked, job_id = marker(), str(uuid.uuid4())

    push(rig, [[], {"request": image(marked)}, {}], id=job_id, root_id=job_id, headers=headers)

    assert succeeded(caller.result_of(job_id))["job_id"] == job_id
    assert len(rig.purchases(marked)) == 1


@pytest.mark.parametrize("job_id", ["x" * 600_000, ["a", "list"], {"an": "object"}, None, 5, "no/job"])
def test_a_cancel_of_what_is_no_id_leaves_nothing(rig: Rig, caller: Caller, job_id: Any) -> None:
    """No key, no long line in a log; the worker goes on."""
    caller.app.send_task("bide.cancel", args=[job_id], queue="bide.control")
    caller.app.control.revoke([job_id], reply=False)

    result = caller.submit(image())
    succeeded(result)

    with rig.server() as server:
        assert not [key for key in server.scan_iter("bide:canceled:*", count=1000) if len(key) > 200]
    assert max(map(len, rig.worker.output().splitlines())) < 100_000
    assert rig.worker.alive


@pytest.mark.parametrize("request_", [5, {"provider": "nobody", "operation": "x"}, image(account="nobody")])
def test_a_bad_request_says_nothing_of_a_job_whose_record_was_lost(rig: Rig, caller: Caller, request_: object) -> None:
    """The job of that id may have been bought: its caller must not hear that it was not."""
    result = caller.submit(image(f"{marker()} [fault:never_finishes]"))
    eventually(lambda: rig.state(result.id) == "running" or None, what="a job at the provider")
    with rig.server() as server:
        server.delete(f"bide:{{photogpt/default}}:job:{result.id}", f"bide:{{photogpt/default}}:body:{result.id}")

    push(rig, [[request_], {}, {}], id=result.id)

    assert failure(result)["code"] == "submission_unknown"


def test_a_forged_message_answers_the_caller_all_the_same(rig: Rig, caller: Caller) -> None:
    """It comes in place of the job's own message: the result is stored, and the caller's link is called."""
    marked, done = marker(), f"done-{marker()}"
    link = caller.app.signature("other_service.done", queue=done)
    result = caller.submit(image(f"{marked} [fault:slow:1 operation=poll]"), link=link)
    eventually(lambda: rig.state(result.id) == "running" or None, what="a job at the provider")
    rig.worker.kill()
    eventually(lambda: rig.state(result.id) == "storing" or None, what="a result at the provider")

    with rig.server() as server:
        server.delete("bide.store", "bide.submit")
        push(rig, NO_REQUEST, id=result.id, ignore_result=True, bide_account="photogpt/default")
        rig.worker.start()
        outcome = succeeded(result)
        eventually(lambda: sent_to(server, done), what="its link")
        server.delete(done)

    assert caller.result_of(result.id).get() == outcome
    assert len(rig.purchases(marked)) == 1


def test_the_id_of_a_late_follower_is_taken(rig: Rig, caller: Caller) -> None:
    """A caller that joins a job which has ended has its result at once; its id is nobody else's from then on."""
    key, other, job_id = marker(), marker(), str(uuid.uuid4())
    request = image(key, idempotency_key=key)
    succeeded(caller.submit(request))
    outcome = succeeded(caller.submit(request, task_id=job_id))

    caller.submit(image(other, account="small"), task_id=job_id)
    caller.submit(image(other), task_id=job_id)
    caller.app.send_task("bide.cancel", args=[job_id], queue="bide.control")
    succeeded(caller.submit(image()))

    assert caller.result_of(job_id).get() == outcome
    assert rig.purchases(other) == []
