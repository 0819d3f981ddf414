"""A lost ledger is not a lost purchase: receipts in the bucket, and what is made of them again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import fakeredis
import pytest

from bide.contract import Failure, FailureCode, GenerateRequest, JobResult, JobState
from bide.erasure.erase import Eraser
from bide.erasure.wanted import Wanted
from bide.errors import StorageError, SubmissionUnknownError
from bide.ledger import Verb
from bide.receipts import Accepted, Intent, NotAccepted, any_since, remove_jobs
from config.settings import load
from tasks.steps.answer import write_receipt
from tasks.steps.home import document_metadata_of, key_of
from tasks.steps.outcome import Answer, Caller, Suspend
from tests.contract.observed_redis import ObservedRedis
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, KEY, STATUS, Killed
from tests.unit.receipts_world import WHERE, World, opened
from workers.recover import Recoverer


@pytest.fixture
def world() -> Iterator[World]:
    """A deployment in memory, with receipts."""
    with opened() as world:
        yield world


def test_what_a_receipt_holds(world: World) -> None:
    """The intent has what it takes to go on; the id follows. The account's key is in neither."""
    world.submit(idempotency_key="k", tenant="ada", metadata={"m": 1})
    world.receipts.stop()
    intent, accepted = world.bucket.receipts

    assert isinstance(intent, Intent)
    assert (intent.job_id, intent.account, intent.attempt, intent.signature) == ("a", str(ACCOUNT), 1, "s")
    assert json.loads(intent.request)["metadata"] == {"m": 1}
    assert {"op", "fp", "deadline", "tenant", "idem", "submits", "intended", "booked"} <= set(intent.record)
    assert {"token", "state", "queue"}.isdisjoint(intent.record)
    assert isinstance(accepted, Accepted)
    assert (accepted.provider_job_id, accepted.attempt) == ("7", 1)
    assert "planted-key" not in "".join(map(str, world.bucket.client.objects.values()))


def test_receipts_lie_by_day(world: World) -> None:
    """A rule of the store can remove old ones."""
    world.submit()
    world.receipts.stop()
    today = datetime.now(UTC)
    assert {key.removeprefix(WHERE)[:8] for key in world.bucket.client.objects} == {f"{today:%Y/%m/}"}
    assert any_since(world.storage, WHERE, since=today - timedelta(days=1))


def test_nothing_is_sent_before_the_bucket_has_the_intent(world: World) -> None:
    """When the request goes out, the receipt is there; its id is not."""
    seen: list[Any] = []
    world.meanwhile = lambda: seen.extend(world.bucket.receipts)
    world.submit()
    assert [type(each) for each in seen] == [Intent]


@pytest.mark.parametrize("failure", [StorageError("503"), StorageError("AccessDenied", permanent=True)], ids=str)
def test_a_bucket_that_refuses_puts_the_submit_off(world: World, failure: StorageError) -> None:
    """Nothing is sent; the job waits in line and says why; it is bought once the bucket takes receipts again."""
    world.bucket.failure = failure
    outcome = world.submit()

    assert isinstance(outcome, Suspend)
    assert world.purchases() == 0
    assert world.state() == JobState.QUEUED
    assert world.record().text("note").startswith("not sent: the object store has not taken its receipt")
    world.bucket.failure = None
    world.clock.advance(10)
    world.again()
    assert (world.purchases(), world.state()) == (1, JobState.RUNNING)


def test_a_bucket_that_is_slow_puts_the_submit_off_in_time(world: World) -> None:
    """The put may come through later: then the bucket also knows that nothing was sent, and nobody is in doubt."""
    world.receipts.stop()
    world.writer_seconds = 0.05
    world.start_writer()
    world.bucket.gate = threading.Event()
    world.submit()
    assert (world.purchases(), world.state()) == (0, JobState.QUEUED)
    world.bucket.gate.set()
    world.lose()

    assert {type(each) for each in world.bucket.receipts} == {Intent, NotAccepted}
    assert world.recover() == {"a": ("receipt", "not_bought", "")}
    assert world.state() == ""


def test_submits_of_the_same_moment_share_an_object(world: World) -> None:
    """While one put is under way the others gather, and go out together; each waits for its own."""
    world.bucket.gate = threading.Event()
    records = list("abcdef")
    for name in records:
        world.ledger.jobs.open(name, asked(), deadline_seconds=900)
        world.server.hset(f"bide:{{{ACCOUNT}}}:job:{name}", "submits", "1")
    done: list[str] = []

    def begin(job_id: str) -> None:
        world.receipts.begin(world.record(job_id), 1)
        done.append(job_id)

    first, *others = (threading.Thread(target=begin, args=(name,)) for name in records)
    first.start()
    assert world.bucket.begun.wait(5)
    for each in others:
        each.start()
    writer: Any = world.receipts
    while len(writer._pending) < 5:
        threading.Event().wait(0.005)
    assert done == []
    world.bucket.gate.set()
    for each in (first, *others):
        each.join(5)
    assert sorted(done) == sorted(records)
    assert len(world.bucket.client.objects) == 2


def test_an_id_is_written_once_the_bucket_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it, and it is not given up."""
    monkeypatch.setattr("workers.services.receipt_writer.AGAIN_SECONDS", 0.01)

    def away() -> None:
        world.bucket.failure = StorageError("away")

    world.meanwhile = away
    world.submit()
    assert world.state() == JobState.RUNNING
    world.bucket.failure = None
    world.receipts.stop()
    assert [type(each) for each in world.bucket.receipts] == [Intent, Accepted]


def test_a_ledger_that_is_lost_before_the_receipt_sends_nothing(world: World) -> None:
    """The intent was written, and is gone when the receipt is made of it."""
    writer, copy = world.receipts, world.ledger.jobs.copy_of

    def lost(record: Any) -> Any:
        world.server.flushall()
        return copy(record)

    world.ledger.jobs.copy_of = lost  # type: ignore[method-assign]  # the loss comes between
    assert isinstance(world.submit(), Suspend)
    writer.stop()
    assert world.purchases() == 0
    assert [type(each) for each in world.bucket.receipts] == [NotAccepted]


# A crash between each two steps, and the ledger is lost with it


def test_a_crash_before_the_receipt(world: World) -> None:
    """Nothing was sent: nothing is known, and nothing was bought."""
    world.receipts.begin = died  # type: ignore[method-assign]  # the process dies there
    with pytest.raises(Killed):
        world.submit()
    world.lose()
    assert world.recover() == {}
    assert world.purchases() == 0


def test_a_crash_before_the_request(world: World) -> None:
    """The intent is there: nobody knows whether the request left, so that a person looks."""
    world.fail("POST", f"{BASE}/works", Killed())
    world.replies["POST", f"{BASE}/works"].reverse()
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    assert [each.job_id for each in world.ledger.unconfirmed.doubtful(ACCOUNT)] == ["a"]
    bought_no_more(world)


def test_a_crash_before_the_answer_is_read(world: World) -> None:
    """The provider has it, the bucket has no id: it is in doubt, and never bought again."""
    world.receipts.accepted = died  # type: ignore[method-assign]  # the process dies there
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    bought_no_more(world)


def test_a_crash_before_the_answer_is_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id is in the bucket, and was never in the ledger: the job is polled."""
    monkeypatch.setattr(type(world.ledger.submits), "submitted", died)
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    monkeypatch.undo()
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.record().text("pid") == "7"
    bought_no_more(world)
    goes_home(world)


def test_a_running_job_goes_on(world: World) -> None:
    """As the same job, with what its adapter kept; its caller's message is kept, too."""
    world.submit(idempotency_key="k", tenant="ada")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    record = world.record()
    assert (record.text("pid"), record.text("tenant"), record.request.params) == ("7", "ada", {"motif": "a red fox"})
    assert record.ticket.handle == {"status_url": STATUS, "cancel_url": ACCEPTED["cancel_url"]}
    assert world.ledger.jobs.copy_of(record).signature == "s"
    bought_no_more(world)
    goes_home(world)


def test_a_lost_answer_is_in_doubt(world: World) -> None:
    """It was on the list before, and is again; attaching its id brings it home."""
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.replies["POST", f"{BASE}/works"].reverse()
    world.submit()
    assert world.state() == JobState.UNCONFIRMED
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    assert world.ledger.unconfirmed.attach(ACCOUNT, "a", "7")[0]
    goes_home(world)


def test_a_refused_submit_leaves_no_doubt(world: World) -> None:
    """The provider has surely not got it: there is nothing to take up."""
    world.replies.clear()
    world.reply("POST", f"{BASE}/works", {}, status=503)
    world.submit()
    world.lose()
    assert world.recover() == {"a": ("receipt", "not_bought", "")}


def test_a_failed_job_stays_failed(world: World) -> None:
    """Its caller hears the same again, and a message of its id buys nothing."""
    world.submit()
    failure = Failure(code=FailureCode.GENERATION_FAILED, message="no fox", job_id="a", provider="atelier")
    world.receipts.ended(ACCOUNT, failure)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "failed")}
    assert world.record().failure.message == "no fox"
    bought_no_more(world)


def test_a_stored_job_is_found(world: World) -> None:
    """Its `job.json` stands: the record is finished, and its caller's message brings the result."""
    world.submit(idempotency_key="k")
    store_result(world)
    world.lose()
    assert world.recover() == {"a": ("result", "taken", "succeeded")}
    step = world.ledger.jobs.step("a", ACCOUNT, token="t9")
    assert step.verb is Verb.ANSWER
    assert json.loads(step.record.text("result"))["provider_job_id"] == "7" if step.record else False
    bought_no_more(world)


def test_a_stored_job_without_a_receipt_is_found(world: World) -> None:
    """Receipts were off: its `job.json` says enough for its caller, and for its idempotency key."""
    record = store_result(world, job_id="b", receipts=False)
    world.lose()
    assert world.recover() == {"b": ("result", "taken", "succeeded")}
    again = world.ledger.jobs.open("c", record.asked, deadline_seconds=60)
    assert (again.verb, again.other) == (Verb.FOLLOW, "b")


def test_a_result_that_has_expired(world: World) -> None:
    """A rule of the store has removed its objects: it is not polled, nor bought, nor called back again."""
    own = {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__ATELIER__API_KEY": KEY, "BIDE_CALLBACKS__SECRET": "s" * 32}
    world.settings = load(own, env_file=None)
    world.submit(idempotency_key="k", callback_url="https://caller.example/done")
    answer_both(world)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "succeeded")}
    assert world.server.keys(f"bide:{{{ACCOUNT}}}:due") == world.server.keys("bide:*callbacks*") == []
    bought_no_more(world)
    result = JobResult.model_validate_json(world.record().text("result"))
    assert (result.provider_job_id, result.outputs) == ("7", ())
    assert "its objects are gone" in result.warnings[0]
    assert world.recover() == {"a": ("receipt", "known", "succeeded")}


def answer_both(world: World) -> None:
    """The task has answered the job's own caller, and another one that follows it."""
    tools: Any = world
    caller = Caller.of(world.record())
    write_receipt(tools, Answer({}, caller))
    write_receipt(tools, Answer({}, replace(caller, job_id="b", leader="a")))


def test_what_has_succeeded_costs_no_put(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receipt goes along with the next ones, or with others of its kind after a while."""
    for name in "abc":
        world.replies["POST", f"{BASE}/works"].clear()
        world.reply("POST", f"{BASE}/works", {"id": name})
        world.submit(name)
        world.receipts.succeeded(ACCOUNT, name, created=world.record(name).text("created"))
    world.receipts.stop()
    assert len(world.bucket.client.objects) <= 7
    assert [each.job_id for each in world.bucket.receipts if each.kind == "ended"] == ["a", "b", "c"]
    monkeypatch.setattr("workers.services.receipt_writer.LINGER_SECONDS", 0.01)
    world.start_writer()
    world.bucket.begun.clear()
    world.receipts.succeeded(ACCOUNT, "d", created="1")
    assert world.bucket.begun.wait(5)


def test_an_erased_job_does_not_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from its receipts, nor from its result; on a ledger that still has its small record it is known."""
    monkeypatch.setattr(ObservedRedis, "_compare", lambda *_: None)  # an erasure writes a record of its own
    world.submit(idempotency_key="k")
    store_result(world)
    writer: Any = world.receipts
    writer.succeeded(ACCOUNT, "a", created=world.record().text("created"))
    writer.stop()
    kept = list(world.bucket.client.objects.items())
    world.server.hset(f"bide:{{{ACCOUNT}}}:job:a", mapping={"state": "succeeded", "answered": "1", "result": "{}"})
    world.server.zrem(f"bide:{{{ACCOUNT}}}:due", "a")
    results: Any = fakeredis.FakeRedis(decode_responses=True)
    Eraser(world.ledger, world.storage, results, Wanted(frozenset({"a"}))).run()
    assert world.bucket.receipts == []
    left = dict(world.bucket.client.objects)
    world.bucket.client.objects.update(kept)
    assert {what for _, what, _ in world.recover().values()} == {"known"}
    assert world.record().text("elsewhere") == ""
    world.bucket.client.objects = left
    world.start_writer()
    world.lose()
    assert world.recover() == {}


def test_it_may_run_again(world: World) -> None:
    """Twice, or killed in the middle and run again: the same end."""
    for name in "abc":
        world.replies["POST", f"{BASE}/works"].clear()
        world.reply("POST", f"{BASE}/works", {"id": name})
        world.submit(name)
    world.lose()
    tools: Any = world
    since = datetime.fromtimestamp(world.clock.now, UTC) - timedelta(days=1)
    next(iter(Recoverer(tools, since=since).run()))  # and no further
    first = world.recover()
    assert sorted(what for _, what, _ in first.values()) == ["known", "taken", "taken"]
    before = {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")}
    assert {what for _, what, _ in world.recover().values()} == {"known"}
    assert {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")} == before


def test_a_dry_run_writes_nothing(world: World) -> None:
    """It says what would be taken up."""
    world.submit()
    world.lose()
    assert world.recover(dry=True) == {"a": ("receipt", "taken", "running")}
    assert world.server.keys("bide:*") == []


def test_a_message_that_came_before_the_recovery(world: World) -> None:
    """A broker of its own redelivers: the job is in line on the empty ledger, and was bought on the lost one."""
    world.submit()
    world.lose()
    world.ledger.jobs.open("a", asked(), deadline_seconds=900)
    assert world.state() == JobState.QUEUED
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.server.zcard(f"bide:{{{ACCOUNT}}}:queued") == 0
    goes_home(world)


def test_a_caller_that_came_again_follows(world: World) -> None:
    """With another id and the same idempotency key: nothing is bought for it."""
    world.submit(idempotency_key="k")
    world.lose()
    world.ledger.jobs.open("z", asked(idempotency_key="k"), deadline_seconds=900)
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    step = world.ledger.jobs.step("z", ACCOUNT, token="t9")
    assert (step.verb, step.other) == (Verb.FOLLOW, "a")


def test_a_jobs_receipts_can_be_removed(world: World) -> None:
    """Those of the others stay, also where they share an object."""
    world.submit("a")
    world.reply("POST", f"{BASE}/works", {"id": "8"})
    world.submit("b")
    world.receipts.stop()
    assert remove_jobs(world.storage, {"a"}) == 2
    assert {each.job_id for each in world.bucket.receipts} == {"b"}


def asked(**more: Any) -> GenerateRequest:
    """The request of the world's jobs."""
    return GenerateRequest(provider="atelier", operation="paint", params={"motif": "a red fox"}, **more)


def died(*_: Any, **__: Any) -> None:
    """The process ends here."""
    raise Killed


def bought_no_more(world: World, job_id: str = "a") -> None:
    """The caller's message comes again, or the caller: the job is known, and nothing goes out."""
    before, known = world.purchases(), world.record(job_id)
    step = world.ledger.jobs.step(job_id, ACCOUNT, token="t8", request=known.asked, deadline_seconds=60)
    assert step.verb in (Verb.STALE, Verb.ANSWER)
    if key := known.asked.idempotency_key:
        assert world.ledger.jobs.open("other", known.asked, deadline_seconds=60).other == job_id, key
    assert world.purchases() == before


def goes_home(world: World, job_id: str = "a") -> None:
    """The provider is done: the next round finds it, and it is to be stored."""
    before = world.purchases()
    done = {"state": "done", "pictures": ["https://a.studio.example/1.png"]}
    for url in (STATUS, f"{BASE}/works/7"):
        world.reply("GET", url, done)
    world.poll()
    assert world.state(job_id) == JobState.STORING
    assert world.purchases() == before


def store_result(world: World, *, job_id: str = "a", receipts: bool = True) -> Any:
    """The job is stored, and its caller is not told."""
    if not receipts:
        world.ledger.jobs.open(job_id, asked(idempotency_key="q"), deadline_seconds=900)
    record = world.record(job_id)
    result = JobResult(
        job_id=job_id,
        provider="atelier",
        operation="paint",
        provider_job_id="7",
        polls=1,
        finished_at=datetime.now(UTC),
        outputs=(),
    )
    key = key_of(record, "job.json")
    world.bucket.client.objects[key] = result.model_dump_json().encode()
    world.bucket.client.metadata[key] = document_metadata_of(cast("Any", world), record)
    return record
