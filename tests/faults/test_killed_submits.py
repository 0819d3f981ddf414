"""A worker killed after the provider accepted leaves an unconfirmed job, which an operator attaches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.counting import check_nothing_left, ends
from tests.integration.bide_command import bide_json
from tests.integration.caller import Caller, image, marker
from tests.integration.rig import Rig
from tests.integration.test_unconfirmed import listed
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def test_what_a_killed_worker_bought_is_stored(caller: Caller, rig: Rig) -> None:
    """A worker is killed before the answer: the job is listed with its candidate, attached, stored, and bought once."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_hang", "match": marked}])
    job_id = str(caller.submit(image(marked)).id)
    [purchase] = eventually(lambda: rig.purchases(marked), what="the job is bought")
    rig.worker.kill()
    rig.worker.start()
    assert ends(rig, [job_id]) == {"submission_unknown": 1}
    one = listed(rig, job_id, "--candidates")
    assert one is not None
    assert purchase["id"] in [each["provider_job_id"] for each in one["candidates"]]

    bide_json(rig, "unconfirmed", "attach", job_id, purchase["id"])

    eventually(lambda: caller.result_of(job_id).state == "SUCCESS", what="the result replaces the failure")
    outcome: Any = caller.result_of(job_id).result  # not `get`: Celery's client may give out its first answer
    assert outcome["provider_job_id"] == purchase["id"]
    assert listed(rig, job_id) is None
    check_nothing_left(rig, marked)
