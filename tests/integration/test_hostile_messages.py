"""Messages that no well-meaning client sends: each is refused or does nothing, and the worker goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.raw_message import push
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ([[], None, {}], {}),
        ([None, {}, {}], {}),
        ([{"request": 1}, [], {}], {}),
        ([[], {"request": image()}, {}], {"id": ["a", "list"]}),
        ([[], {}, {}], {"bide_account": {"not": "a name"}}),
        (None, {}),
        (5, {}),
        ([[], {}, {}], {"timelimit": "abc"}),
        ([[], {}, {}], {"eta": 5}),
        ([[], {"request": {"provider": [[[[]]]], "operation": 5}}, {}], {}),
    ],
    ids=[
        "kwargs null",
        "args null",
        "args and kwargs swapped",
        "id a list",
        "account an object",
        "body null",
        "body a number",
        "limits a word",
        "eta a number",
        "odd fields",
    ],
)
def test_a_broken_message_stops_nobody(rig: Rig, caller: Caller, body: Any, headers: dict[str, Any]) -> None:
    """After it the same worker serves the next job."""
    push(rig, body, **headers)

    assert succeeded(caller.submit(image()))["state"] == "succeeded"
    assert rig.worker.alive


@pytest.mark.parametrize("place", ["callbacks", "errbacks"])
def test_a_callback_that_can_not_be_sent_buys_nothing(rig: Rig, caller: Caller, place: str) -> None:
    """Its message is rejected; before, the job was bought and its answer was an error of kombu's."""
    marked = marker()
    options = [
        {"serializer": "nope"},
        {"compression": "nope"},
        {"countdown": "x"},
        {"queue": 5},
        {"exchange": {"a": 1}},
    ]
    for wrong in options:
        signature = {"task": "some.where", "args": [], "kwargs": {}, "options": wrong}
        push(rig, [[], {"request": image(marked)}, {place: [signature]}])

    assert succeeded(caller.submit(image()))["state"] == "succeeded"
    assert rig.purchases(marked) == []
    assert rig.worker.alive


@pytest.mark.parametrize("job_id", ["../../x", "a/b", "a\nb", "x" * 129, "{x}"])
def test_an_id_that_is_no_key_is_refused(rig: Rig, caller: Caller, job_id: str) -> None:
    """The job id becomes part of object keys: one that would leave its folder is refused before anything is bought."""
    marked = marker()

    refused = failure(caller.submit(image(marked), task_id=job_id))

    assert refused["code"] == "invalid_request"
    assert "job id" in refused["message"]
    assert rig.purchases(marked) == []


@pytest.mark.parametrize(
    "address",
    ["http://[fe80::1%\uff0e]/", "http://xn--127-/", "http://a..b/", f"http://{'a' * 64}/", "http://a\uff0e\uff0eb/"],
)
def test_a_callback_address_that_can_not_be_sent_is_refused(rig: Rig, caller: Caller, address: str) -> None:
    """The caller gets `invalid_request` at once; some of these addresses once broke the first step."""
    marked = marker()

    refused = failure(caller.submit(image(marked, callback_url=address)))

    assert refused["code"] == "invalid_request"
    assert refused["message"].startswith("callback_url: ")
    assert rig.purchases(marked) == []


def test_a_deadline_that_nobody_can_meet_buys_nothing(rig: Rig, caller: Caller) -> None:
    """A tenth of a millisecond: over by the time of the intent, whatever the phase of the clock."""
    marked = marker()

    results = [caller.submit(image(marked, deadline_seconds=0.0001)) for _ in range(50)]

    assert {failure(result)["code"] for result in results} == {"deadline"}
    assert rig.purchases(marked) == []


def test_two_arguments_are_refused(caller: Caller) -> None:
    """There is one argument; a second one is a misunderstanding that could cost money."""
    result = caller.app.send_task("bide.generate", args=[image(), 1], queue="bide.submit")

    assert failure(result)["code"] == "invalid_request"


def test_a_cancel_during_the_submit_stays_an_end(rig: Rig, caller: Caller) -> None:
    """The submit's own suspension, which comes after the caller's answer, does not hide the end."""
    marked = marker()
    result = caller.submit(image(f"{marked} [fault:slow:2 operation=submit]"))
    eventually(lambda: rig.state(result.id) == "submitting" or None, what="a submit under way")

    caller.app.send_task("bide.cancel", args=[result.id], queue="bide.control")

    assert failure(result)["code"] == "canceled"
    eventually(lambda: len(rig.purchases(marked)) == 1 or None, what="the answer to the submit")
    eventually(lambda: rig.counts()["lease"] == 0 or None, what="a job at rest")
    assert result.state == "FAILURE"
