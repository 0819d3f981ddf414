"""`bide unconfirmed list --candidates`: which of a provider's jobs an unconfirmed submit may be, beside its prompt."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bide.bulk.runs import Runs
from bide.cli.unconfirmed import show
from bide.providers import find
from bide.providers.base import Account, Answer
from tests.contract.ledger_stage import ACCOUNT, Stage
from workers.toolbox import Toolbox
from workers.unconfirmed import with_candidates


def tools(stage: Stage, jobs: list[dict[str, Any]]) -> Toolbox:
    """What the command uses of a toolbox: a ledger, and a provider whose list holds these jobs."""
    submitted = datetime.fromtimestamp(stage.clock.now, UTC) + timedelta(seconds=1)
    entries = [{"status": "success", "createdAt": submitted.isoformat(), **job} for job in jobs]
    answer = Answer(200, {}, json.dumps({"status": "OK", "result": {"jobs": entries}}).encode())
    account = Account("https://provider.example", "key")
    context = SimpleNamespace(adapter=find("photogpt"), credentials_at=account.at)
    box = SimpleNamespace(
        ledger=stage.ledger,
        accounts=SimpleNamespace(get=lambda _: context),
        http=SimpleNamespace(call=lambda *_, **__: answer),
        event_loop=SimpleNamespace(run=lambda found: found),
    )
    return cast("Toolbox", box)


def candidates(stage: Stage, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """The one unconfirmed job with its candidates."""
    [one] = with_candidates(tools(stage, jobs))
    return one


def ids(one: dict[str, Any]) -> list[str]:
    """The ids of its candidates."""
    return [each["provider_job_id"] for each in one["candidates"]]


def test_the_purchases_of_a_run_that_is_over_are_no_candidates(stage: Stage) -> None:
    """Five rows whose records are dropped, and a submit that the provider never accepted: nothing is offered."""
    rows = [f"run.{number}" for number in range(1, 6)]
    for row in rows:
        stage.finished(row, priority="bulk")
    Runs(stage.server).drop(ACCOUNT, rows)
    stage.unconfirmed("order")
    one = candidates(stage, [{"jobId": f"p-{row}"} for row in rows])
    assert one["candidates"] == []


def test_only_what_no_job_has_is_a_candidate(stage: Stage) -> None:
    """Running, ended, attached, a further purchase of another job: each is known; the lost one is offered."""
    stage.running("running")
    stage.finished("finished")
    record, token, attempt = stage.unconfirmed("attached")
    stage.ledger.unconfirmed.attach(ACCOUNT, "attached", "p-attached")
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-other")
    stage.unconfirmed("order")
    known = ["p-running", "p-finished", "p-attached", "p-other"]
    assert ids(candidates(stage, [{"jobId": each} for each in [*known, "p-lost"]])) == ["p-lost"]


def test_a_candidate_of_the_same_prompt_comes_first(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Another's prompt stands beside the job's, so that nobody attaches that one by its time."""
    stage.unconfirmed("order", params={"modelID": "m1", "prompt": "a red  fox"})
    listed: list[dict[str, Any]] = [
        {"jobId": "p-bear", "prompt": "a blue bear"},
        {"jobId": "p-fox", "params": {"prompt": "a red fox"}},
    ]
    one = candidates(stage, listed)
    assert ids(one) == ["p-fox", "p-bear"]
    assert one["prompt"] == "a red fox"
    assert [each["prompt"] for each in one["candidates"]] == ["a red fox", "a blue bear"]
    show([one], as_json=False)
    shown = capsys.readouterr().out
    assert "its prompt is the job's: a red fox" in shown
    assert "its prompt:      a blue bear\n    that of the job: a red fox" in shown
    assert "has no prompts" not in shown


def test_a_list_without_prompts_says_so(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """As PhotoGPT's: the operator has to look at the pictures."""
    stage.unconfirmed("order")
    show([candidates(stage, [{"jobId": "p-1"}])], as_json=False)
    assert "the provider's list has no prompts" in capsys.readouterr().out


def test_a_job_older_than_the_memory_of_others_is_said_to_be(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """What else was bought at its time is forgotten: a candidate may be a job that ended long ago."""
    stage.unconfirmed("order")
    show([candidates(stage, [{"jobId": "p-1"}])], as_json=False)  # the stage's clock shows a time long past
    assert "a candidate may be one that was forgotten since" in capsys.readouterr().out
