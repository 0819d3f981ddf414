"""A result in the answer to its submit, with no id to ask for it again: kept at once, then stored as any other."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from bide.contract import JobState, object_key
from bide.errors import StorageError
from bide.ledger import AccountName, Verb
from bide.providers.base import Answer
from config.settings import load
from tasks.steps.outcome import Answer as Answered
from tasks.steps.outcome import Fail, Outcome
from tasks.steps.store import store
from tasks.steps.submit import submit
from tests.contract.ledger_stage import Stage, taken
from tests.contract.media_fetch import PNG
from tests.unit.memory_store import MemoryStorage
from tests.unit.test_submit_ends import Tools
from workers.accounts import Accounts
from workers.services.budgets import Budgets
from workers.services.event_loop import EventLoop
from workers.services.fetcher import Fetcher
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.telemetry.step_log import StepLog

SETTINGS = {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__DREAMBOOTH__API_KEY": "key"}

NAME = AccountName("dreambooth", "default")


class Answering(Tools):
    """A toolbox whose provider gives one answer to a submit, and whose store is in memory."""

    def __init__(self, stage: Stage, body: object) -> None:
        super().__init__(stage)
        self.settings = load(SETTINGS, env_file=None)
        self.accounts = Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(stage.ledger))
        self.budgets = Budgets(self.settings)
        self.answer = Answer(200, {}, json.dumps(body).encode())
        http: Any = None
        self.storage: Any = MemoryStorage()
        self.loop = EventLoop()
        storage: Any = self.storage
        self.fetcher = Fetcher(http, storage, self.loop, max_bytes=1_000_000)

    def run(self, buys: bool) -> Any:
        return self.answer


def bought(tools: Any, stage: Stage) -> Outcome:
    """The submit step of a job of DreamBooth."""
    params = {"model_id": "m", "prompt": "a red fox"}
    step = stage.arrive("a", token="t", account=NAME, operation="text2img", params=params)
    with StepLog("job.step"):
        return submit(tools, taken(step, Verb.SUBMIT), "t", now=step.now)


def test_it_is_stored_whole(stage: Stage) -> None:
    """Both pictures, under the keys of any result; Redis holds their addresses, never a picture."""
    text = b64encode(PNG).decode()
    tools: Any = Answering(stage, {"status": "success", "id": "", "output": [text, f"data:image/png;base64,{text}"]})
    try:
        bought(tools, stage)
        record = stage.ledger.jobs.read(NAME, "a")
        assert record is not None
        assert record.state is JobState.STORING
        created = record.moment("created")
        assert created is not None
        keys = [object_key("a", f"{n}.png", created_at=created, prefix=None) for n in (0, 1)]
        assert [media.url for media in record.outputs] == [f"s3://memory/{key}" for key in keys]
        assert text[:40] not in str(record.fields)

        step = stage.resume("a", token="s", account=NAME)
        with StepLog("job.step"):
            outcome = store(tools, taken(step, Verb.STORE), "s", now=step.now)
        assert isinstance(outcome, Answered)
        assert [made["key"] for made in outcome.result["outputs"]] == keys
        assert all(tools.storage.client.objects[key] == PNG for key in keys)
    finally:
        tools.loop.stop()


def test_what_is_no_picture_is_not_taken_for_nothing(stage: Stage) -> None:
    """The provider has taken the job and finished it with something odd: a person decides, nothing is bought again."""
    tools: Any = Answering(stage, {"status": "success", "id": "", "output": [b64encode(b"<html>").decode()]})
    try:
        outcome = bought(tools, stage)
    finally:
        tools.loop.stop()
    assert isinstance(outcome, Fail)
    assert outcome.failure.code == "submission_unknown"
    assert "HTML" in outcome.failure.message


def test_a_store_that_is_away_is_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is nowhere else."""
    tools: Any = Answering(stage, {"status": "success", "output": [b64encode(PNG).decode()]})
    put, refusals = tools.storage.put, iter([StorageError("away"), None])

    def put_later(*arguments: Any, **more: Any) -> None:
        if refusal := next(refusals):
            raise refusal
        put(*arguments, **more)

    monkeypatch.setattr(tools.storage, "put", put_later)
    monkeypatch.setattr("time.sleep", lambda _: None)
    try:
        bought(tools, stage)
    finally:
        tools.loop.stop()
    record = stage.ledger.jobs.read(NAME, "a")
    assert record is not None
    assert record.state is JobState.STORING
