"""Every way a job can end badly that can be provoked: its code, its words, and what was bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from celery.result import AsyncResult

from tasks.steps.decision import EMPTY_PAUSES_SECONDS
from tests.integration.caller import PIXEL, Caller, failure, image, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

MARK = marker()


@dataclass(frozen=True)
class Case:
    """A request, what its failure says, and how many purchases it may leave."""

    request: Any
    code: str
    words: str
    bought: int = 0
    retryable: bool = False


def invalid(words: str, **more: Any) -> Case:
    """A request that is refused before anything is bought."""
    return Case(image(f"{MARK} {words}", **more), "invalid_request", words)


def bought(prompt: str, code: str, words: str, **more: Any) -> Case:
    """A job that fails after it was bought."""
    retryable = code in ("generation_failed", "empty_result")
    return Case(image(f"{MARK} {prompt}", **more), code, words, bought=1, retryable=retryable)


CASES = {
    "no object": Case("a red fox", "invalid_request", "must be a JSON object"),
    "no request": Case(None, "invalid_request", "request: is required"),
    "unknown provider": invalid("provider", provider="nobody"),
    "unknown operation": invalid("operation", operation="images.singing"),
    "missing parameter": invalid("modelID", params={"modelID": ""}),
    "wrong type": invalid("numImages", params={"numImages": "two"}),
    "misspelt field": invalid("priorty: is not a known field", priorty="bulk"),
    "too large": invalid("over the limit", params={"notes": "x" * 300_000}),
    "bad base64": invalid("inputs.face", inputs={"face": "certainly not base64"}),
    "no picture": invalid("inputs.face", inputs={"face": "bm90IGEgcGljdHVyZQ=="}),
    "half a picture": invalid("inputs.face", inputs={"face": PIXEL[:60]}),
    "unreadable input": invalid(
        "inputs.init_image",
        provider="nextry",
        operation="generate_image",
        account="main",
        params={"tool": "fabric"},
        inputs={"init_image": "s3://results/no/such/object.png"},
    ),
    "unknown account": invalid("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__NOBODY__API_KEY", account="nobody"),
    "account without a key": invalid(
        "BIDE_PROVIDERS__NEXTRY__API_KEY", provider="nextry", operation="generate_image", params={"tool": "default"}
    ),
    "refused with a reason": Case(
        image(f"{MARK} [fault:refused]", account="broke"), "rejected", "insufficient credits"
    ),
    "refused by code": Case(image(f"{MARK} [fault:400 operation=submit]"), "rejected", "HTTP 400"),
    "bad key": Case(image(f"{MARK} key", account="refused"), "unauthorized", "invalid credentials"),
    "failed there": bought("[fault:fail:too-red]", "generation_failed", "too-red"),
    "never done": bought("[fault:never_finishes]", "deadline", "running", deadline_seconds=4),
    "forgotten": bought("[fault:expired]", "lost", "no longer knows"),
    "done without a result": bought("[fault:empty_result]", "empty_result", "gives no result"),
    "a page": bought("[fault:html]", "bad_media", ""),
    "a playlist": bought("[fault:playlist]", "bad_media", ""),
    "half of it": bought("[fault:cut]", "bad_media", ""),
    "an empty file": bought("[fault:empty]", "bad_media", ""),
    "a private address": bought("[fault:redirect_to:http://127.0.0.1:9/]", "bad_media", ""),
    "answer lost": bought("[fault:accept_then_drop]", "submission_unknown", ""),
    "gateway time-out": bought("[fault:accept_then_504]", "submission_unknown", "504"),
    "garbage": bought("[fault:accept_then_garbage]", "submission_unknown", "can't be read"),
}


@pytest.fixture(scope="module")
def submitted(caller: Caller) -> dict[str, AsyncResult[Any]]:
    """All of them at once."""
    return {name: caller.submit(case.request) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_says_why(name: str, submitted: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """The task fails with `JobFailed`, whose message is JSON; nothing is bought that need not be, and nothing twice."""
    case, result = CASES[name], submitted[name]

    outcome = failure(result, seconds=PATIENCE_SECONDS + sum(EMPTY_PAUSES_SECONDS))

    assert (outcome["code"], outcome["job_id"]) == (case.code, result.id), outcome
    assert case.words in outcome["message"]
    assert outcome["retryable"] is case.retryable
    if case.code != "invalid_request":
        assert outcome["provider"] == "photogpt"
    purchases = rig.purchases(case.request["params"]["prompt"]) if isinstance(case.request, dict) else []
    assert len(purchases) == case.bought
    known = case.bought and case.code != "submission_unknown"
    assert outcome["provider_job_id"] == (purchases[0]["id"] if known else None)


def test_no_failure_tells_a_secret(submitted: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """No key and no picture stands in a failure's message or in the log."""
    outcomes = "".join(str(result.get(timeout=60, propagate=False)) for result in submitted.values())

    for secret in ("bad-key", "key-of-", PIXEL[:40], "not-a-secret"):
        assert secret not in outcomes
        assert secret not in rig.worker.output()
        assert secret not in rig.poller.output()


@pytest.mark.parametrize("how", ["task", "revoke"])
def test_a_canceled_job_ends_at_once(how: str, caller: Caller, rig: Rig) -> None:
    """`bide.cancel`, and revoking the task, end the job with the code `canceled`; the purchase stands."""
    marked = marker()
    result = caller.submit(image(f"{marked} [fault:never_finishes]"))
    eventually(lambda: rig.state(result.id) == "running", what="the job runs")

    if how == "task":
        caller.app.send_task("bide.cancel", args=[result.id], queue="bide.control", ignore_result=True)
    else:
        caller.app.control.revoke(result.id)

    outcome = failure(result)
    [purchase] = rig.purchases(marked)
    assert (outcome["code"], outcome["provider_job_id"]) == ("canceled", purchase["id"])
    assert rig.state(result.id) == "canceled"


def test_a_second_purchase_is_a_choice(caller: Caller, rig: Rig) -> None:
    """With `on_unknown: resubmit` a submit whose answer is lost is made once more, knowingly."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_drop", "match": marked, "times": 1}])

    result = caller.submit(image(marked, on_unknown="resubmit"))

    outcome = succeeded(result)
    purchases = rig.purchases(marked)
    assert [each["id"] for each in purchases][1:] == [outcome["provider_job_id"]]


@pytest.mark.parametrize("fault", ["404_once", "truncated times=1", "drop_before operation=media times=1"])
def test_a_download_is_tried_again(fault: str, caller: Caller, rig: Rig) -> None:
    """A paid result that can't be fetched this time is fetched the next time."""
    marked = marker()

    result = caller.submit(image(f"{marked} [fault:{fault}]"))

    succeeded(result)
    assert len(rig.purchases(marked)) == 1
