"""Accounts that are not well: an operator finds out, resumes them and replays what failed, all by `bide`."""

from __future__ import annotations

import pytest

from tests.integration.bide_command import bide_json
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig"), pytest.mark.timeout(180)]


def test_no_credit_pauses_and_a_person_mends_it(caller: Caller, rig: Rig) -> None:
    """A lack of credit pauses the account; after `resume` waiting jobs go on, and the refused one is replayed."""
    marked = marker()
    rig.sandbox.order([{"fault": "refused", "match": marked, "times": 1}])
    first = caller.submit(image(marked, account="mended"))
    assert failure(first)["code"] == "rejected"

    second = caller.submit(image(f"{marked} again", account="mended"))
    eventually(lambda: rig.state(str(second.id), "mended") == "queued", what="the second job waits in line")

    story = bide_json(rig, "explain", str(second.id))
    assert "paused by bide" in story["why"][0]
    assert "insufficient credits" in story["why"][0]
    assert "bide resume photogpt mended" in story["to_do"]
    assert "insufficient credits" in bide_json(rig, "jobs", "--account", "mended")["accounts"]["photogpt/mended"]
    paused = [line for line in rig.worker.output().splitlines() if '"account.paused"' in line]
    assert sum('"photogpt/mended"' in line for line in paused) == 1
    assert len(rig.purchases(marked)) == 0

    [resumed] = bide_json(rig, "resume", "photogpt", "mended")
    assert (resumed["changed"], resumed["paused"]) == (True, False)
    succeeded(second)

    [job] = [one for one in bide_json(rig, "failed", "list", "--code", "rejected") if one["job_id"] == first.id]
    assert "insufficient credits" in job["message"]
    [replay] = bide_json(rig, "failed", "replay", str(first.id), "--yes")
    assert replay["replay_of"] == first.id
    assert succeeded(caller.result_of(replay["job_id"]))["metadata"] == {"replay_of": first.id}
    assert bide_json(rig, "failed", "replay", str(first.id), "--yes") == [replay], "replayed twice it is one job"
    assert len(rig.purchases(marked)) == 2
    timeline = bide_json(rig, "explain", replay["job_id"])["timeline"]
    assert [event["what"] for event in timeline][:3] == ["opened", "submit", "accepted"]
    assert {"poll", "made", "succeeded"} <= {event["what"] for event in timeline}


def test_a_failing_provider_fails_nobody(caller: Caller, rig: Rig) -> None:
    """Jobs wait while the provider answers 503, and one at a time finds out; in the end each is bought once."""
    marked = marker()
    rig.sandbox.order([{"fault": "status", "status": 503, "operation": "submit", "match": marked, "times": 3}])

    results = [caller.submit(image(f"{marked} {number}", account="failing")) for number in range(6)]

    for result in results:
        succeeded(result, seconds=120)
    assert len(rig.purchases(marked)) == 6


def test_an_operator_pauses_an_account(caller: Caller, rig: Rig) -> None:
    """`explain` shows an operator's pause with its reason, until `resume` ends it."""
    [paused, *_] = bide_json(rig, "pause", "photogpt", "failing", "--reason", "inventory")
    assert (paused["paused"], paused["reason"]) == (True, "inventory")

    result = caller.submit(image(marker(), account="failing"))

    eventually(lambda: rig.state(str(result.id), "failing") == "queued", what="the job waits in line")
    assert "paused by operator" in bide_json(rig, "explain", str(result.id))["why"][0]
    bide_json(rig, "resume", "photogpt", "failing")
    succeeded(result)
