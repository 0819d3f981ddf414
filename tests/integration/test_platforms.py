"""The providers that run any model, from a request to the stored object, to a cancel, to a moderation."""

from __future__ import annotations

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
    "fal": ("run", "fal-ai/flux/dev", "image/png", {"num_images": 2}),
    "replicate": ("predict", "owner/flux", "image/webp", {"num_outputs": 2}),
}

#: How the end of a canceled job is told: fal's own word comes with a poll, Replicate's with the cancel.
WORDS = {"fal": "Client cancelled the request", "replicate": "the provider has stopped it"}


def request(provider: str, prompt: str, **more: Any) -> GenerateRequest:
    """A request to a model of a provider."""
    operation, model, *_ = PLATFORMS[provider]
    params: dict[str, Any] = {"model": model, "input": {"prompt": prompt, **more}}
    return GenerateRequest(provider=provider, operation=operation, params=params)


def failure(client: Client, job_id: str) -> Failure:
    """How a job has failed."""
    with pytest.raises(JobFailed) as failed:
        client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
    return Failure.model_validate_json(str(failed.value))


@pytest.mark.parametrize("provider", PLATFORMS)
def test_a_job_of_any_model(client: Client, rig: Rig, provider: str) -> None:
    """Pictures are stored, a moderated job says so, a canceled one stops at the provider; each is bought once."""
    _, _, content_type, two = PLATFORMS[provider]
    marked = marker()
    made = client.submit(request(provider, f"{marked} made [fault:back_to_queue]", **two))
    moderated = client.submit(request(provider, f"{marked} moderated [fault:moderated]"))
    canceled = client.submit(request(provider, f"{marked} canceled [fault:never_finishes]"))
    eventually(lambda: rig.state(canceled, provider=provider) == "running", what="the job to cancel runs")
    client.cancel(canceled)

    result = client.wait(made, timeout_seconds=PATIENCE_SECONDS)
    assert [output.content_type for output in result.outputs] == [content_type] * 2
    assert rig.store.read(result.outputs[1].key)[1]["ContentLength"] == result.outputs[1].size
    refused = failure(client, moderated)
    assert (refused.code, refused.cause) == (FailureCode.MODERATED, FailureCause.MODERATED)
    assert (refused.retryable, refused.charged) == (False, Charged.UNKNOWN)
    stopped = failure(client, canceled)
    assert (stopped.code, WORDS[provider] in stopped.message) == (FailureCode.CANCELED, True), stopped.message
    assert rig.sandbox.stats()["providers"][provider]["cancel"] >= 1
    assert len(rig.purchases(marked)) == 3
