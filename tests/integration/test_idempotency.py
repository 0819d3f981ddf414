"""One purchase, however often a job is asked for."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.background import repeated
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


def test_one_key_is_one_purchase(caller: Caller, rig: Rig) -> None:
    """Two callers at once and one that comes late, with the same key, get one result of one purchase."""
    marked = marker()
    request = image(marked, idempotency_key=marked)

    at_once = [caller.submit(request) for _ in range(2)]
    outcomes = [succeeded(result) for result in at_once]
    late = caller.submit(request)
    outcomes.append(succeeded(late))

    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0]["job_id"] in {result.id for result in at_once}
    assert len(rig.purchases(marked)) == 1


def test_one_failure_is_for_all_that_asked(caller: Caller, rig: Rig) -> None:
    """A job that fails, fails for everybody with its key."""
    marked = marker()
    request = image(f"{marked} [fault:fail:no]", idempotency_key=marked)

    outcomes = [failure(result) for result in [caller.submit(request) for _ in range(3)]]

    assert outcomes[0]["code"] == "generation_failed"
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(rig.purchases(marked)) == 1


def test_a_key_belongs_to_its_request(caller: Caller, rig: Rig) -> None:
    """A key that comes with another request is refused, and the first job goes on."""
    marked = marker()
    first = caller.submit(image(marked, idempotency_key=marked))
    succeeded(first)

    refusal = failure(caller.submit(image(f"{marked} in blue", idempotency_key=marked)))

    assert refusal["code"] == "invalid_request"
    assert "idempotency_key" in refusal["message"]
    assert len(rig.purchases(marked)) == 1


def test_one_task_id_is_one_purchase(caller: Caller, rig: Rig) -> None:
    """Twenty equal messages are one job."""
    marked, job_id = marker(), str(uuid.uuid4())

    results = [caller.submit(image(marked), task_id=job_id) for _ in range(20)]

    assert succeeded(results[-1])["job_id"] == job_id
    assert len(rig.purchases(marked)) == 1


def test_every_message_twice(caller: Caller, rig: Rig) -> None:
    """Whatever travels through the broker may arrive twice: each job is bought once and ends once."""
    marked = marker()
    with doubled_messages(rig.redis.url) as doubled:
        results = [caller.submit(image(f"{marked} {number}")) for number in range(10)]
        outcomes = [succeeded(result) for result in results]

    assert len(rig.purchases(marked)) == len({each["provider_job_id"] for each in outcomes}) == 10
    assert len(doubled) >= 2 * len(results), "hardly any message was doubled"


@contextmanager
def doubled_messages(url: str) -> Iterator[set[str]]:
    """Send each unacked message once more; gives the tags of all that were unacked or sent."""
    seen: set[str] = set()
    with redis.Redis.from_url(url, decode_responses=True) as server:

        def watch() -> None:
            for tag, unacked in server.hgetall("unacked").items():
                if tag not in seen:
                    seen.update((tag, _send_again(server, unacked)))
            time.sleep(0.002)

        with repeated(watch):
            yield seen


def _send_again(server: redis.Redis, unacked: str) -> str:
    """Push a copy of an unacked message under a tag of its own; returns that."""
    message: dict[str, Any]
    message, _, queue = json.loads(unacked)
    tag = str(uuid.uuid4())
    message["properties"]["delivery_tag"] = tag
    server.lpush(queue, json.dumps(message))
    return tag
