"""Submits that may or may not have been accepted: what the caller gets, and how an operator settles them by `bide`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bide.client import Client
from bide.contract import JobState
from bide.errors import JobFailed
from tests.integration.bide_command import bide, bide_json
from tests.integration.bulk import Bulk, rows
from tests.integration.caller import PIXEL, Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig"), pytest.mark.timeout(120)]

#: What may happen after the provider has accepted; `accept_then_hang` outlasts the submit's time-out.
LOSSES = (
    "accept_then_drop",
    "accept_then_504",
    "accept_then_garbage",
    "accept_then_hang",
    "half_json operation=submit",
)


def listed(rig: Rig, job_id: str, *options: str) -> dict[str, Any] | None:
    """The job on the operators' list; None where it is not on it."""
    return next((one for one in bide_json(rig, "unconfirmed", "list", *options) if one["job_id"] == job_id), None)


def unconfirmed_job(caller: Caller, rig: Rig, request: dict[str, Any], marked: str, times: int = 1) -> str:
    """Id of a job whose submit is accepted, and whose answer is lost; its caller has `submission_unknown`."""
    rig.sandbox.order([{"fault": "accept_then_drop", "match": marked, "times": times}])
    result = caller.submit(request)
    assert failure(result)["code"] == "submission_unknown"
    return str(result.id)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_lost_answer_leaves_the_job_unconfirmed(loss: str, caller: Caller, rig: Rig) -> None:
    """The caller gets `submission_unknown`; the job is on the list, was bought once, and waits for an operator."""
    marked = marker()

    result = caller.submit(image(f"{marked} [fault:{loss}]"))

    assert failure(result)["code"] == "submission_unknown"
    one = listed(rig, str(result.id))
    assert one is not None
    assert (one["provider"], one["account"], one["operation"]) == ("photogpt", "default", "images.generation")
    assert one["submitted_at"]
    assert one["reason"]
    assert marked in one["what"]
    assert len(rig.purchases(marked)) == 1
    assert rig.state(str(result.id)) == "unconfirmed"


def test_an_attached_job_brings_its_result(caller: Caller, rig: Rig) -> None:
    """An operator attaches the id of a candidate: the result is stored, and the caller gets it when it asks anew."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked), marked)
    [purchase] = rig.purchases(marked)
    one = listed(rig, job_id, "--candidates")
    assert one is not None
    assert purchase["id"] in [each["provider_job_id"] for each in one["candidates"]]

    assert bide_json(rig, "unconfirmed", "attach", job_id, purchase["id"]) == {"job_id": job_id, "state": "running"}

    eventually(lambda: caller.result_of(job_id).state == "SUCCESS", what="the failure is replaced by the result")
    outcome: Any = caller.result_of(job_id).result  # `get` gives the first answer again to the process that has had it
    assert outcome["provider_job_id"] == purchase["id"]
    [output] = outcome["outputs"]
    assert hashlib.sha256(rig.store.read(output["key"])[0]).hexdigest() == output["sha256"]
    assert len(rig.purchases(marked)) == 1
    assert listed(rig, job_id) is None
    with Client(rig.redis.url) as client:
        status = client.status(job_id)
        assert status is not None
        assert (status.state, status.failure) == (JobState.SUCCEEDED, None)
        assert client.wait(job_id, timeout_seconds=5).outputs


def test_a_caller_keeps_its_failure_until_the_job_has_ended(caller: Caller, rig: Rig) -> None:
    """The result of an attached job under way still says `submission_unknown`; its status says running."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(f"{marked} [fault:never_finishes]", deadline_seconds=600), marked)
    [purchase] = rig.purchases(marked)

    bide_json(rig, "unconfirmed", "attach", job_id, purchase["id"])

    with Client(rig.redis.url) as client:
        eventually(lambda: (found := client.status(job_id)) and found.polls, what="it is polled")
        status = client.status(job_id)
        assert status is not None
        assert (status.state, status.failure, status.provider_job_id) == (JobState.RUNNING, None, purchase["id"])
        with pytest.raises(JobFailed, match="submission_unknown"):
            client.wait(job_id, timeout_seconds=5)
        client.cancel(job_id)
    # Not `get`: Celery's client gives out its first answer once more.
    eventually(lambda: '"code":"canceled"' in str(caller.result_of(job_id).result), what="the failure is replaced")


def test_a_mistyped_id_costs_nothing(caller: Caller, rig: Rig) -> None:
    """An id that the provider does not know brings the job back on the list; another job's id is refused."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked), marked)
    [purchase] = rig.purchases(marked)

    bide_json(rig, "unconfirmed", "attach", job_id, "no-such-job")

    eventually(lambda: listed(rig, job_id), what="it is unconfirmed again")
    assert failure(caller.result_of(job_id))["code"] == "submission_unknown"
    bide_json(rig, "unconfirmed", "attach", job_id, purchase["id"])
    eventually(lambda: rig.state(job_id) == "succeeded", what="it goes on under the right id")
    other = unconfirmed_job(caller, rig, image(f"{marked} again"), f"{marked} again")
    refused = bide(rig, "unconfirmed", "attach", other, purchase["id"])
    assert refused.returncode == 1
    assert f"is the provider's id of job {job_id} already" in refused.stderr


def test_the_rows_of_a_run_that_is_over_are_nobody_elses(
    caller: Caller, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five rows are bought and their records dropped; a submit is not accepted: none is offered or taken."""
    marked = marker()
    for name, value in rig.store.environment().items():
        monkeypatch.setenv(name, value)
    bulk, run_id = Bulk(rig, tmp_path), f"{marked}-run"
    bulk.begin(run_id, rows(marked, 5))
    assert bulk.over(run_id)["succeeded"] == 5
    bulk.close()
    bought = {each["id"]: each["reference"].removeprefix(f"{marked} ") for each in rig.purchases(marked)}
    assert len(bought) == 5

    rig.sandbox.order([{"fault": "status", "status": 500, "operation": "submit", "match": f"{marked} order"}])
    result = caller.submit(image(f"{marked} order"))
    assert failure(result)["code"] == "submission_unknown"
    job_id = str(result.id)

    one = listed(rig, job_id, "--candidates")
    assert one is not None
    assert not bought.keys() & {each["provider_job_id"] for each in one["candidates"]}
    for each, row in bought.items():
        refused = bide(rig, "unconfirmed", "attach", job_id, each)
        assert refused.returncode == 1
        assert f"{each} is the provider's id of job {run_id}.{row} already" in refused.stderr
    assert rig.state(job_id) == "unconfirmed"


def test_nextry_s_history_shows_candidates(caller: Caller, rig: Rig) -> None:
    """The candidate of the same tool and time comes first; candidates that other jobs have are left out."""
    marked = marker()
    params = {"tool": "furniture", "prompt": marked}
    request = {"provider": "nextry", "operation": "generate_image", "account": "main", "params": params}
    request["inputs"] = {"room": PIXEL}
    known = succeeded(caller.submit({**request, "params": {**params, "prompt": "another"}}))

    job_id = unconfirmed_job(caller, rig, request, marked)

    one = listed(rig, job_id, "--candidates")
    assert one is not None
    [purchase] = [each for each in rig.sandbox.purchases() if marked in each["reference"]]
    first = one["candidates"][0]
    assert (first["provider_job_id"], first["about"]) == (purchase["id"], "furniture")
    assert abs(first["seconds_after_submit"]) < 30
    assert known["provider_job_id"] not in [each["provider_job_id"] for each in one["candidates"]]


def test_jobs_of_before_are_looked_for_by_a_command(caller: Caller, rig: Rig) -> None:
    """Where their account settles by listing; one whose purchase may not show yet stays as it is."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked), marked)
    assert bide_json(rig, "unconfirmed", "settle") == []
    found = bide_json(rig, "unconfirmed", "settle", BIDE_PROVIDERS__PHOTOGPT__SETTLE="listing")
    [one] = [each for each in found if each["job_id"] == job_id]
    assert (one["account"], one["provider_job_id"]) == ("photogpt/default", None)
    assert "may not show on the provider's list yet" in one["reason"]
    assert rig.state(job_id) == "unconfirmed"


@pytest.mark.whole
def test_what_can_not_be_listed_says_so(caller: Caller, rig: Rig) -> None:
    """Of a provider without a list of jobs: the list names the support to ask instead of candidates."""
    marked = marker()
    params = {"prompt": marked, "model_id": "midjourney"}
    request = {"provider": "dreambooth", "operation": "text2img", "params": params}

    job_id = unconfirmed_job(caller, rig, request, marked)

    one = listed(rig, job_id, "--candidates")
    assert one is not None
    assert one["candidates"] is None
    assert "ask its support" in one["why_none"]
    shown = bide(rig, "unconfirmed", "list", "--candidates").stdout
    assert f"{job_id}  dreambooth/default" in shown
    assert "ask its support" in shown


def test_a_resubmitted_job_is_bought_once_more(caller: Caller, rig: Rig) -> None:
    """A resubmitted job gets the result of its second purchase, and its record says that there were two."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked), marked)

    bide_json(rig, "unconfirmed", "resubmit", job_id)

    eventually(lambda: caller.result_of(job_id).state == "SUCCESS", what="it succeeds")
    purchases = rig.purchases(marked)
    assert len(purchases) == 2
    outcome: Any = caller.result_of(job_id).result  # not `get`: Celery's client gives out its first answer once more
    assert outcome["provider_job_id"] == purchases[1]["id"]
    again = bide(rig, "unconfirmed", "resubmit", job_id)
    assert again.returncode == 1
    assert "is succeeded, not unconfirmed" in again.stderr


def test_what_is_given_up_has_failed(caller: Caller, rig: Rig) -> None:
    """A job that is given up leaves the list; nothing more is bought or polled."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked), marked)

    assert bide_json(rig, "unconfirmed", "give-up", job_id) == {"job_id": job_id, "state": "failed"}

    assert listed(rig, job_id) is None
    assert failure(caller.result_of(job_id))["code"] == "submission_unknown"
    assert len(rig.purchases(marked)) == 1
    with Client(rig.redis.url) as client:
        status = client.status(job_id)
        assert status is not None
        assert status.failure is not None
        assert "given up by an operator" in status.failure.message


def test_a_request_that_allows_it_is_bought_twice_and_no_more(caller: Caller, rig: Rig) -> None:
    """`on_unknown: resubmit` buys twice where both answers are lost; then the job is unconfirmed."""
    marked = marker()
    job_id = unconfirmed_job(caller, rig, image(marked, on_unknown="resubmit"), marked, times=2)

    assert len(rig.purchases(marked)) == 2
    one = listed(rig, job_id)
    assert one is not None
    assert "submitted 2 times: each may have been bought" in one["remarks"]
    with Client(rig.redis.url) as client:
        status = client.status(job_id)
        assert status is not None
        assert "submitted 2 times" in status.note


@pytest.mark.parametrize("command", [("attach", "nobody", "p"), ("resubmit", "nobody"), ("give-up", "nobody")])
def test_an_unknown_job_is_not_settled(command: tuple[str, ...], rig: Rig) -> None:
    """An unknown job gives one readable line, and a status that scripts can see."""
    done = bide(rig, "unconfirmed", *command)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nothing is known of a job 'nobody'")
