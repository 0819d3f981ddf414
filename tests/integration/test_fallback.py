"""Jobs whose first account does not make them, and whose fallback does: real workers, a real Redis, a real store."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bide.client import Client
from bide.contract import JobResult
from bide.errors import JobFailed
from tests.integration.bide_command import bide_json
from tests.integration.caller import image, marker
from tests.integration.rig import Rig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig"), pytest.mark.timeout(120)]

#: A provider is down after its second failure, a second after the first; a sweep finds those in line after another.
NOTICED_SECONDS = 2.0


def with_fallback(marked: str, *, first: str, **more: Any) -> dict[str, Any]:
    """A request to one of photogpt's accounts that goes on at the usual one."""
    request = image(marked)
    other = {name: request[name] for name in ("provider", "operation", "params")}
    return {**request, "account": first, "fallbacks": [{**other, **more}]}


def seconds_of(client: Client, requests: list[dict[str, Any]]) -> tuple[float, list[JobResult]]:
    """How long it takes until all of them have their results."""
    begun = time.monotonic()
    job_ids = client.submit_many(requests)
    results = [client.wait(job_id, timeout_seconds=60) for job_id in job_ids]
    return time.monotonic() - begun, results


def test_a_provider_that_is_down(rig: Rig) -> None:
    """Jobs with a fallback succeed within twice their usual time; the first ones find out that it is down.

    Each is bought once; result, `job.json`, status and story say who made it, and what was tried.
    """
    with Client(rig.redis.url) as client:
        seconds_of(client, [image(marker())])  # the processes have their first job behind them
        usual, _ = seconds_of(client, [image(marker()) for _ in range(4)])
        marks = [marker() for _ in range(8)]
        requests = [with_fallback(each, first="down") for each in marks]
        noticing, results = seconds_of(client, requests[:4])
        down, more = seconds_of(client, requests[4:])
        status = client.status(results[0].job_id)
    print(json.dumps({"usual": usual, "noticing": noticing, "down": down}))  # noqa: T201 - docs/fallback.md has these
    assert down <= 2 * usual
    assert noticing <= 2 * usual + NOTICED_SECONDS
    assert [len(rig.purchases(each)) for each in marks] == [1] * 8
    for result in [*results, *more]:
        assert result.made_by
        assert (result.made_by.account, [each.account for each in result.tried]) == ("default", ["down"])
    assert status
    assert (status.account, [each.code for each in status.tried]) == ("default", ["not_submitted"])
    story = bide_json(rig, "explain", results[0].job_id)
    assert [event["what"] for event in story["timeline"]].count("fallback") == 1


def test_a_refused_key_and_a_lost_answer(rig: Rig) -> None:
    """The account whose key is refused is left for good; a submit that may have been accepted goes nowhere."""
    refused, lost = marker(), marker()
    with Client(rig.redis.url) as client:
        result = client.wait(client.submit(with_fallback(refused, first="left")), timeout_seconds=60)
        assert [each.code for each in result.tried] == ["unauthorized"]
        rig.sandbox.order([{"fault": "accept_then_drop", "match": lost}])
        with pytest.raises(JobFailed) as failed:
            client.wait(client.submit(with_fallback(lost, first="small")), timeout_seconds=60)
    assert json.loads(str(failed.value))["code"] == "submission_unknown"
    assert len(rig.purchases(refused)) == len(rig.purchases(lost)) == 1
