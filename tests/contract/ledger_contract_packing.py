"""The ledger's contract about packing: a finished record takes little, and says all that it said before."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bide.cli.explain import explained
from bide.client.status import status_of
from bide.contract import Failure, FailureCode, GenerateRequest, JobState
from bide.errors import LedgerAwayError
from bide.ledger import Ledger, Polled, Record, Verb, scripts
from bide.ledger.callbacks import Outcome
from bide.ledger.kept import LIVE, PARTS
from bide.ledger.keys import prefix
from bide.ledger.listing import Listing
from bide.ledger.listing import Wanted as WantedJobs
from bide.ledger.packed import pack
from bide.ledger.recent import Wanted
from bide.ledger.records import Timing
from bide.ledger.snapshot import take_snapshot
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage, taken

RESULT = (
    '{"job_id":"a","state":"succeeded","provider":"photogpt","operation":"images.generation","provider_job_id":"p-a",'
    '"polls":2,"submitted_at":"2023-11-14T22:13:20Z","finished_at":"2023-11-14T22:13:31.250000Z","outputs":['
    '{"uri":"s3://b/2023/11/14/a/0.png","bucket":"b","key":"2023/11/14/a/0.png","content_type":"image/png","size":12,'
    f'"sha256":"{"0af9" * 16}","width":8,"height":6,"role":"image"}}],"metadata":{{"order":"17"}}}}'
)
MODERATED = Failure(
    code=FailureCode.MODERATED, message="the provider reports: flagged", job_id="f", provider="photogpt"
).model_dump_json()
CALLED: dict[str, Any] = {"callback_url": "https://example.com/hook"}


def made(stage: Stage, job_id: str = "a", **changes: Any) -> None:
    """A job that was polled twice and succeeded, up to its caller's answer."""
    stage.running(job_id, metadata={"order": "17"}, **changes)
    for kind, note, value in (("running", "processing", ""), ("ended", "succeeded", '[["image","https://x/1.png"]]')):
        stage.clock.advance(4)
        stage.ledger.polls.record(ACCOUNT, [Polled(job_id, kind, seconds=4, note=note, value=value)])  # type: ignore[arg-type]  # two of its words
    stage.clock.advance(1.25)
    record = taken(stage.resume(job_id, token="t"), Verb.STORE)
    assert stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result=RESULT, note="not checked: output 0: odd")


def failed(stage: Stage, job_id: str = "f", **changes: Any) -> None:
    """A job that its provider did not make, up to its caller's answer."""
    stage.running(job_id, **changes)
    stage.clock.advance(3)
    stage.ledger.polls.record(ACCOUNT, [Polled(job_id, "failed", note="flagged", value=MODERATED)])
    assert stage.resume(job_id).verb is Verb.ANSWER


def read(stage: Stage, job_id: str = "a") -> Record:
    """The record, which there must be."""
    record = stage.ledger.jobs.find(job_id)
    assert record is not None
    return record


def is_packed(stage: Stage, job_id: str = "a") -> bool:
    """Whether the record is packed, and the body gone."""
    at = prefix(ACCOUNT)
    packed = stage.server.hexists(f"{at}job:{job_id}", PARTS[0])
    assert not packed or not stage.server.exists(f"{at}body:{job_id}")
    return bool(packed)


def said(stage: Stage, job_id: str) -> tuple[Any, ...]:
    """All that people and clients see of a job."""
    record = read(stage, job_id)
    story = explained(take_snapshot(stage.ledger, record), [])
    found = Listing(stage.ledger.executor).search(WantedJobs(states=frozenset({record.state})), most=5).jobs
    fields = {name: value for name, value in record.fields.items() if name not in LIVE}
    page = stage.ledger.recent.page(Wanted(), most=5).jobs
    shown = [(each.record.fields["state"], each.record.fields["created"], each.prompt, each.metadata) for each in page]
    return fields, record.request_json, record.request, story, status_of(record, job_id), found, shown


class PackingContract:
    """`stage` packs; each class that runs this has a fixture `server`.

    A record is packed once all callers know the end and no callback is owed, and at no other time.
    """

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def stage(self, server: redis.Redis, clock: Clock) -> Stage:
        return Stage(server, clock, packs=True)

    @pytest.mark.parametrize(("end", "job_id"), [(made, "a"), (failed, "f")])
    def test_it_says_what_it_said_before(self, stage: Stage, end: Any, job_id: str) -> None:
        """Record, request, story, status, lists: byte for byte what the same job's whole record says."""
        whole = Ledger(stage.server, clock=stage.clock)
        end(stage, job_id)
        whole.jobs.answered(ACCOUNT, job_id)
        assert not is_packed(stage, job_id)
        before = said(stage, job_id)
        stage.ledger.jobs.answered(ACCOUNT, job_id)
        assert is_packed(stage, job_id)
        assert said(stage, job_id) == before
        if job_id == "a":
            assert read(stage).text("result") == RESULT

    def test_it_is_kept_for_as_long(self, stage: Stage) -> None:
        """Its time to live is what it was."""
        made(stage)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ttl("job", "a") == stage.ledger.timing.retention_seconds
        assert len(stage.clocks("a")) == 0

    @pytest.mark.parametrize("timing", [None, Timing(packs=False)])
    def test_it_is_asked_for(self, stage: Stage, timing: Timing | None) -> None:
        """A ledger without packing leaves records as they are; what others packed it reads."""
        made(stage)
        Ledger(stage.server, timing=timing, clock=stage.clock).jobs.answered(ACCOUNT, "a")
        assert not is_packed(stage)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        record = Ledger(stage.server, timing=timing).jobs.read(ACCOUNT, "a")
        assert is_packed(stage)
        assert record is not None
        assert record.text("result") == RESULT

    def test_a_message_that_comes_again_does_nothing(self, stage: Stage) -> None:
        """The caller's message, a hint, an answer: the job is over, and another request has not its id."""
        made(stage)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.resume("a").verb is Verb.STALE
        assert stage.arrive("a", metadata={"order": "17"}).verb is Verb.STALE
        assert stage.arrive("a", metadata={"order": "18"}).verb is Verb.CONFLICT
        assert stage.ledger.jobs.cancel(ACCOUNT, "a")[0] == "succeeded"
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert is_packed(stage)
        assert read(stage).text("result") == RESULT

    def test_a_second_caller_gets_the_result(self, stage: Stage) -> None:
        """By the same idempotency key, after the record was packed."""
        made(stage, idempotency_key="k")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        step = stage.arrive("b", idempotency_key="k", metadata={"order": "17"})
        assert (step.verb, step.other) == (Verb.FOLLOW, "a")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="succeeded")
        assert is_packed(stage)
        assert read(stage).text("result") == RESULT

    def test_it_waits_for_its_followers(self, stage: Stage) -> None:
        """The last caller's answer has it packed."""
        stage.running("a", idempotency_key="k", metadata={"order": "17"})
        assert stage.arrive("b", idempotency_key="k", metadata={"order": "17"}).verb is Verb.FOLLOW
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=MODERATED, note="flagged")])
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert not is_packed(stage)
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="failed")
        assert is_packed(stage)

    def test_it_waits_for_its_callback(self, stage: Stage) -> None:
        """A callback is made of the record: delivered, the record is packed; sent again, it still is."""
        made(stage, **CALLED)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert not is_packed(stage)
        [owed] = stage.ledger.callbacks.claim(ACCOUNT, most=5, seconds=30)
        stage.ledger.callbacks.tried(owed, Outcome.AGAIN, seconds=5, note="HTTP 503")
        assert not is_packed(stage)
        stage.ledger.callbacks.tried(owed, Outcome.DELIVERED)
        assert is_packed(stage)
        assert (read(stage).text("callback_note"), read(stage).text("callback_tries")) == ("delivered", "1")
        assert stage.ledger.callbacks.replay(ACCOUNT, "a")
        [owed] = stage.ledger.callbacks.claim(ACCOUNT, most=5, seconds=30)
        assert (owed.number, read(stage).request.callback_url) == (1, CALLED["callback_url"])
        stage.ledger.callbacks.tried(owed, Outcome.FAILED, note="HTTP 410")
        assert read(stage).text("callback_note") == "HTTP 410"

    def test_an_undelivered_callback_keeps_it_whole(self, stage: Stage) -> None:
        """An operator may have it sent again by a release that packs nothing."""
        made(stage, **CALLED)
        [owed] = stage.ledger.callbacks.claim(ACCOUNT, most=5, seconds=30)
        stage.ledger.callbacks.tried(owed, Outcome.FAILED, note="HTTP 410")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert not is_packed(stage)

    def test_what_is_not_over_stays_whole(self, stage: Stage) -> None:
        """A live job, an unconfirmed one, one that an operator gave up, and one with evidence of a doubt."""
        stage.running("running")
        stage.ledger.jobs.answered(ACCOUNT, "running")
        stage.unconfirmed("unconfirmed")
        stage.unconfirmed("given-up")
        stage.ledger.unconfirmed.give_up(ACCOUNT, "given-up")
        stage.ledger.jobs.answered(ACCOUNT, "given-up")
        made(stage, "doubted")
        stage.server.hset(f"{prefix(ACCOUNT)}job:doubted", "evidence", "1700000001.000 doubt no answer")
        stage.ledger.jobs.answered(ACCOUNT, "doubted")
        assert not any(is_packed(stage, job_id) for job_id in ("running", "unconfirmed", "given-up", "doubted"))

    def test_a_purchase_that_comes_late_is_noted(self, stage: Stage) -> None:
        """A canceled job whose submit was accepted all the same: the packed record keeps the provider's id."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert is_packed(stage)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-late")
        found = read(stage)
        assert (found.text("pid"), found.failure.provider_job_id) == ("p-late", "p-late")
        assert explained(take_snapshot(stage.ledger, found), [])["money"].startswith("bought, as p-late")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-other")
        assert read(stage).other_ids == ["p-other"]

    def test_a_failed_job_can_be_bought_again(self, stage: Stage) -> None:
        """`bide failed replay` finds the whole request."""
        failed(stage, inputs={"image": "s3://uploads/1.png"})
        before = read(stage, "f").request
        stage.ledger.jobs.answered(ACCOUNT, "f")
        assert is_packed(stage, "f")
        assert isinstance(before, GenerateRequest)
        assert read(stage, "f").request == before

    def test_lists_search_what_is_packed(self, stage: Stage) -> None:
        """By state, code, operation, words of the prompt, and metadata."""
        made(stage)
        failed(stage)
        for job_id in "af":
            stage.ledger.jobs.answered(ACCOUNT, job_id)
        stage.running("r")

        def ids(**wanted: Any) -> list[str]:
            return [found.record.job_id for found in stage.ledger.recent.page(Wanted(**wanted), most=2).jobs]

        assert ids() == ["r", "f"]
        assert ids(operation="images.generation") == ["r", "f"]
        assert ids(states=frozenset({"succeeded"})) == ids(metadata=(("order", "17"),)) == ["a"]
        assert ids(codes=frozenset({"moderated"})) == ["f"]
        assert ids(operation="images.upscaling") == ids(run="run") == ids(words=("teapot",)) == []
        assert ids(states=frozenset({"succeeded", "failed"}), words=("Fox",)) == ["f", "a"]
        listed = Listing(stage.ledger.executor)
        [job] = listed.search(WantedJobs(frozenset({JobState.SUCCEEDED})), most=5).jobs
        assert (job.outputs, job.provider_job_id, job.polls) == (("s3://b/2023/11/14/a/0.png",), "p-a", 2)
        [job] = listed.search(WantedJobs(frozenset({JobState.FAILED}), codes=frozenset({"moderated"})), most=5).jobs
        assert (job.job_id, job.message) == ("f", "the provider reports: flagged")
        assert listed.search(WantedJobs(frozenset({JobState.FAILED}), codes=frozenset({"lost"})), most=5).jobs == ()

    def test_what_has_changed_meanwhile_is_not_packed(self, stage: Stage) -> None:
        """Between the two scripts a late answer may write a field: the record stays whole, and has it."""
        made(stage)
        Ledger(stage.server, clock=stage.clock).jobs.answered(ACCOUNT, "a")
        record = read(stage)
        fields = {"note": "as it was a moment ago", "request": record.request_json}
        script = scripts.job.Pack(id="a", packed=pack("a", ACCOUNT, "p-a", fields), part_bytes=63, fields=fields)
        assert stage.ledger.executor.run(ACCOUNT, script) == 0
        assert not is_packed(stage)

    def test_an_answer_does_not_wait_for_it(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Redis goes away between the two scripts: the answer is noted, and the record stays whole."""
        made(stage)

        def away(each: Any) -> Any:
            assert [type(script) for _, script in each] == [scripts.job.Pack]
            raise LedgerAwayError("gone")

        monkeypatch.setattr(stage.ledger.executor, "run_many", away)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert (stage.field("a", "answered"), stage.clocks("a"), is_packed(stage)) == ("1", set(), False)

    def test_a_record_of_the_release_before_is_read(self, stage: Stage) -> None:
        """Whole records and packed ones lie side by side, and a whole one is packed when its callers hear again."""
        made(stage)
        Ledger(stage.server, clock=stage.clock).jobs.answered(ACCOUNT, "a")
        assert read(stage).text("result") == RESULT
        assert stage.ledger.jobs.followers(ACCOUNT, "a") == {}
