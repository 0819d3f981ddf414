"""The providers that run any model, from a request to the stored object, to a cancel, to a moderation."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bide.client import Client
from bide.contract import Charged, Failure, FailureCause, FailureCode, GenerateRequest
from bide.errors import JobFailed
from tests.integration.caller import marker
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

PLATFORMS = {
    "fal": ("run", "fal-ai/flux/dev", "image/png", "num_images"),
    "replicate": ("predict", "owner/flux", "image/webp", "num_outputs"),
}

#: The words in which a canceled job ends: fal's own word comes with a poll, Replicate's with the cancel.
WORDS = {"fal": "Client cancelled the request", "replicate": "the provider has stopped it"}


def request(provider: str, prompt: str, *, pictures: int) -> GenerateRequest:
    """A request to a model of a provider."""
    operation, model, _, count = PLATFORMS[provider]
    params: dict[str, Any] = {"model": model, "input": {"prompt": prompt, count: pictures}}
    return GenerateRequest(provider=provider, operation=operation, params=params)


def failure(client: Client, job_id: str) -> Failure:
    """How a job has failed."""
    with pytest.raises(JobFailed) as failed:
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    return Failure.model_validate_json(str(failed.value))


def at_work(rig: Rig, job_id: str, provider: str) -> bool:
    """Whether a job is at its provider."""
    return rig.state(job_id, provider=provider) == "running"


def test_jobs_of_any_model(client: Client, rig: Rig) -> None:
    """Pictures are stored, a moderated job says so, a canceled one stops at the provider; each is bought once."""
    marked = marker()
    orders = {"made": "[fault:back_to_queue]", "moderated": "[fault:moderated]", "canceled": "[fault:never_finishes]"}
    jobs = {
        (provider, end): client.submit(request(provider, f"{marked} {end} {order}", pictures=2))
        for provider in PLATFORMS
        for end, order in orders.items()
    }
    for provider in PLATFORMS:
        eventually(partial(at_work, rig, jobs[provider, "canceled"], provider), what="the job to cancel runs")
        client.cancel(jobs[provider, "canceled"])

    for provider, (_, _, content_type, _) in PLATFORMS.items():
        result = client.wait(jobs[provider, "made"], timeout_seconds=PATIENCE_SECONDS)
        assert [output.content_type for output in result.outputs] == [content_type] * 2
        assert rig.store.read(result.outputs[1].key)[1]["ContentLength"] == result.outputs[1].size
        refused = failure(client, jobs[provider, "moderated"])
        assert (refused.code, refused.cause) == (FailureCode.MODERATED, FailureCause.MODERATED)
        assert (refused.retryable, refused.charged) == (False, Charged.UNKNOWN)
        stopped = failure(client, jobs[provider, "canceled"])
        assert (stopped.code, WORDS[provider] in stopped.message) == (FailureCode.CANCELED, True), stopped.message
        assert rig.sandbox.stats()["providers"][provider]["cancel"] >= 1
    assert len(rig.purchases(marked)) == 6
