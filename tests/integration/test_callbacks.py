"""Callbacks end to end: a real receiver, which verifies each with the library of the standard."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bide.client import Client
from bide.contract import CallbackEvent
from bide.errors import JobFailed
from bide.ledger import AccountName, Ledger
from bide.ledger.callbacks import Callback
from tests.integration.caller import Caller, failure, image, marker
from tests.integration.receiver import Call, Receiver
from tests.integration.rig import CALLBACK_SECRET, Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

ACCOUNT = AccountName("photogpt", "default")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A service that takes every callback."""
    with Receiver(CALLBACK_SECRET) as receiver:
        yield receiver


def test_a_result_is_called_back(client: Client, rig: Rig, receiver: Receiver) -> None:
    """Signed, once, to the address as it was given, and the same result as the caller's."""
    job_id = client.submit(image(marker(), callback_url=receiver.url("/hook?token=t"), metadata={"order": "1042"}))
    result = client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)

    [call] = called(receiver, job_id)
    assert call.path == "/hook?token=t"
    assert call.webhook_id.startswith("msg_")
    event = CallbackEvent.model_validate_json(json.dumps(call.event))
    assert (event.type, event.metadata, event.data) == ("job.succeeded", {"order": "1042"}, result)
    eventually(lambda: not unfinished(rig, job_id), what="the callback is settled")
    assert len(receiver.calls) == 1


def test_a_failure_is_called_back(client: Client, receiver: Receiver) -> None:
    """A callback about a failure has the words of the error that the caller gets."""
    job_id = client.submit(image("[fault:fail]", callback_url=receiver.url(), metadata={"order": "7"}))
    with pytest.raises(JobFailed) as failed:
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)

    [call] = called(receiver, job_id)
    assert (call.event["type"], call.event["metadata"]) == ("job.failed", {"order": "7"})
    assert call.event["data"] == json.loads(str(failed.value))


def test_an_unconfirmed_job_is_called_back_twice(client: Client, receiver: Receiver) -> None:
    """`job.unconfirmed` and the end that an operator settles are two callbacks with two ids."""
    job_id = client.submit(image("[fault:accept_then_504]", callback_url=receiver.url()))
    [unconfirmed] = called(receiver, job_id)
    assert (unconfirmed.event["type"], unconfirmed.event["data"]["code"]) == ("job.unconfirmed", "submission_unknown")
    client.cancel(job_id)
    [_, settled] = called(receiver, job_id, times=2)
    assert (settled.event["type"], settled.event["data"]["code"]) == ("job.canceled", "canceled")
    assert unconfirmed.webhook_id != settled.webhook_id


def test_a_receiver_that_is_down_is_called_later(client: Client, rig: Rig) -> None:
    """The job's own answer does not wait for it, and neither does any other job."""
    receiver = Receiver(CALLBACK_SECRET, answers=(503, 204))
    job_id = client.submit(image(marker(), callback_url=receiver.url()))
    client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    tried = eventually(lambda: [one for one in unfinished(rig, job_id) if one.tries], what="the callback was tried")
    assert not tried[0].failed
    assert tried[0].note.startswith("127.0.0.1: no connection")
    with receiver:
        first, second = called(receiver, job_id, times=2)
        assert first == second
        eventually(lambda: not unfinished(rig, job_id), what="the callback is settled")


def test_a_receiver_that_wants_no_more(client: Client, rig: Rig) -> None:
    """HTTP 410 puts the callback on the list of the failed at once; replayed it comes under the same id."""
    with Receiver(CALLBACK_SECRET, answers=(410, 200)) as receiver:
        job_id = client.submit(image(marker(), callback_url=receiver.url()))
        failed = eventually(lambda: [one for one in unfinished(rig, job_id) if one.failed], what="the callback failed")
        assert [one.note for one in failed] == ["HTTP 410"]
        with rig.server() as server:
            assert Ledger(server).callbacks.replay(ACCOUNT, job_id)
        first, second = called(receiver, job_id, times=2)
    assert first == second


def test_a_killed_worker_loses_no_callback(client: Client, rig: Rig) -> None:
    """SIGKILL between the job's end and its callback: the ledger knows, and the next worker sends it."""
    receiver = Receiver(CALLBACK_SECRET)
    job_id = client.submit(image(marker(), callback_url=receiver.url()))
    client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    eventually(lambda: unfinished(rig, job_id), what="the callback is owed")
    rig.worker.kill()
    with receiver:
        rig.worker.start()
        [call] = called(receiver, job_id)
    assert call.event["type"] == "job.succeeded"


@pytest.mark.parametrize(
    "address",
    ["http://10.0.0.1/hook", "http://169.254.169.254/latest", "http://2130706434/", "http://u:p@example.com/"],
)
def test_a_private_address_is_refused(caller: Caller, rig: Rig, address: str) -> None:
    """Before anything is bought; also by number, and with credentials in it."""
    marked = marker()
    refusal = failure(caller.submit(image(marked, callback_url=address)))
    assert refusal["code"] == "invalid_request"
    assert "callback_url: " in refusal["message"]
    assert rig.purchases(marked) == []


def test_a_name_that_leads_inside_is_not_called(client: Client, rig: Rig) -> None:
    """A name is judged when it is resolved, at each attempt."""
    job_id = client.submit(image(marker(), callback_url="http://localhost:1/hook"))
    client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    tried = eventually(lambda: [one for one in unfinished(rig, job_id) if one.tries], what="it was tried")
    assert "is not a public address; list its host in BIDE_CALLBACKS__ALLOWED_HOSTS" in tried[0].note
    with rig.server() as server:
        server.delete(*server.keys("bide:*:callbacks"))


def called(receiver: Receiver, job_id: str, *, times: int = 1) -> list[Call]:
    """The calls about a job, once there are as many."""
    return eventually(
        lambda: calls if len(calls := receiver.about(job_id)) >= times else None, what=f"called {times} times"
    )


def unfinished(rig: Rig, job_id: str) -> list[Callback]:
    """The callbacks of a job that are owed or were given up."""
    with rig.server() as server:
        return [one for one in Ledger(server).callbacks.unfinished(ACCOUNT) if one.job_id == job_id]
