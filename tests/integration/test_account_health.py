"""Accounts that are not well, and the operator who finds out, mends it and replays what failed, all by `bide`."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.processes import ROOT
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig"), pytest.mark.timeout(180)]


def told(rig: Rig, *arguments: str) -> Any:
    """What a command of `bide` prints with `--json`, in the deployment's folder."""
    command = ["bide", *arguments, "--json"]
    done = subprocess.run(
        command, env=rig.environment(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_credit_pauses_and_a_person_mends_it(caller: Caller, rig: Rig) -> None:
    """One job finds out; the next waits and is not failed; after `resume` it goes on, and the first is replayed."""
    marked = marker()
    rig.sandbox.order([{"fault": "refused", "match": marked, "times": 1}])
    first = caller.submit(image(marked, account="mended"))
    assert failure(first)["code"] == "rejected"

    second = caller.submit(image(f"{marked} again", account="mended"))
    eventually(lambda: rig.state(str(second.id), "mended") == "queued", what="the second job waits in line")

    story = told(rig, "explain", str(second.id))
    assert "paused by bide" in story["why"][0]
    assert "insufficient credits" in story["why"][0]
    assert "bide resume photogpt mended" in story["to_do"]
    assert "insufficient credits" in told(rig, "jobs", "--account", "mended")["accounts"]["photogpt/mended"]
    paused = [line for line in rig.worker.output().splitlines() if '"account.paused"' in line]
    assert sum('"photogpt/mended"' in line for line in paused) == 1
    assert len(rig.purchases(marked)) == 0

    [resumed] = told(rig, "resume", "photogpt", "mended")
    assert (resumed["changed"], resumed["paused"]) == (True, False)
    succeeded(second)

    [job] = [one for one in told(rig, "failed", "list", "--code", "rejected") if one["job_id"] == first.id]
    assert "insufficient credits" in job["message"]
    [replay] = told(rig, "failed", "replay", str(first.id), "--yes")
    assert replay["replay_of"] == first.id
    assert succeeded(caller.result_of(replay["job_id"]))["metadata"] == {"replay_of": first.id}
    assert told(rig, "failed", "replay", str(first.id), "--yes") == [replay], "replayed twice it is one job"
    assert len(rig.purchases(marked)) == 2
    timeline = told(rig, "explain", replay["job_id"])["timeline"]
    assert [event["what"] for event in timeline][:3] == ["opened", "submit", "accepted"]
    assert {"poll", "made", "succeeded"} <= {event["what"] for event in timeline}


def test_a_failing_provider_fails_nobody(caller: Caller, rig: Rig) -> None:
    """While it answers 503, jobs wait and one at a time finds out; once it is back all succeed, each bought once."""
    marked = marker()
    rig.sandbox.order([{"fault": "status", "status": 503, "operation": "submit", "match": marked, "times": 3}])

    results = [caller.submit(image(f"{marked} {number}", account="failing")) for number in range(6)]

    for result in results:
        succeeded(result, seconds=120)
    assert len(rig.purchases(marked)) == 6


def test_a_pause_by_hand(caller: Caller, rig: Rig) -> None:
    """With its reason on show, until it is ended."""
    [paused, *_] = told(rig, "pause", "photogpt", "failing", "--reason", "inventory")
    assert (paused["paused"], paused["reason"]) == (True, "inventory")

    result = caller.submit(image(marker(), account="failing"))

    eventually(lambda: rig.state(str(result.id), "failing") == "queued", what="the job waits in line")
    assert "paused by operator" in told(rig, "explain", str(result.id))["why"][0]
    told(rig, "resume", "photogpt", "failing")
    succeeded(result)
