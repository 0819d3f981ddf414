"""Results in odd places and forms, with real processes: each is stored and bought once."""

from __future__ import annotations

from typing import Any

import pytest
from celery.result import AsyncResult

from tasks.steps.decision import EMPTY_PAUSES_SECONDS
from tests.integration.caller import Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

MARK = marker()

FILES = {
    "a label": "[fault:labelled:aws-chunked]",
    "gzip, and plain": "[fault:labelled:gzip]",
    "a text file": "[fault:base64_file]",
    "203": "[fault:code:203]",
    "signed as it is written": "[fault:signed]",
    "filled at the third look": "[fault:empty_first:2]",
}
DREAMS = {"links alone": "[fault:links_alone]", "no id": "[fault:no_id]", "base64": "base64"}


def dream(prompt: str) -> dict[str, Any]:
    """A request to DreamBooth."""
    params = {"model_id": "m1", "prompt": prompt, "samples": 1, "base64": "yes" if prompt.endswith("base64") else "no"}
    return {"provider": "dreambooth", "operation": "text2img", "params": params}


@pytest.fixture(scope="module")
def submitted(caller: Caller) -> dict[str, AsyncResult[Any]]:
    """All of them at once."""
    images = {name: caller.submit(image(f"{MARK} {order}")) for name, order in FILES.items()}
    dreams = {name: caller.submit(dream(f"{MARK} {order}")) for name, order in DREAMS.items()}
    words = {word: caller.submit(image(f"{MARK} [fault:unknown_status:{word}]")) for word in ("canceled", "aborted")}
    return images | dreams | words


@pytest.mark.parametrize("name", [*FILES, *DREAMS])
def test_the_result_is_stored(name: str, submitted: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """One whole picture, bought once."""
    result = succeeded(submitted[name], seconds=PATIENCE_SECONDS + sum(EMPTY_PAUSES_SECONDS))
    [made] = result["outputs"]
    assert made["content_type"] in ("image/png", "image/webp", "image/jpeg")
    assert made["width"]
    assert made["height"]
    assert len(rig.purchases(f"{MARK} {(FILES | DREAMS)[name]}")) == 1


@pytest.mark.parametrize("word", ["canceled", "aborted"])
def test_a_word_of_failure_ends_the_job(word: str, submitted: dict[str, AsyncResult[Any]]) -> None:
    """A provider's word of failure ends the job long before its deadline."""
    outcome = failure(submitted[word])
    assert (outcome["code"], outcome["retryable"]) == ("generation_failed", True)
    assert word in outcome["message"]
