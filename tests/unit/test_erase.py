"""`bide erase`: what goes, what stays, what is refused, and what becomes of a message that comes again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.contract import JobState
from bide.erasure import erase as module
from bide.erasure import records
from bide.erasure.wanted import Wanted
from bide.errors import StorageError
from bide.ledger import AccountName, Verb
from bide.ledger.keys import idempotency_key, prefix
from bide.money.quote import Quote
from tests.contract.ledger_stage import ACCOUNT, taken
from tests.unit.command import Command
from tests.unit.erase_scene import PARAMS, SECRET, UPLOAD, Scene


@pytest.fixture(name="scene")
def _scene() -> Scene:
    """With finished records packed, as workers have them."""
    return Scene(packs=True)


@pytest.mark.parametrize("packs", [False, True])
def test_a_job_is_gone_from_everywhere(packs: bool) -> None:
    """Objects, record, request, Celery result, recent jobs; the prompt is nowhere."""
    scene = Scene(packs=packs)
    begin = scene.job("a", idempotency_key="order-1", callback_url="https://example.com/h")
    assert scene.stage.server.zscore(f"{prefix(ACCOUNT)}callbacks", "a") is not None
    assert SECRET in scene.everything()
    report = scene.erase("a")
    assert (report.erased, report.objects, report.results, report.refused) == (["a"], 2, 1, {})
    assert not [key for key in scene.objects if key.startswith(begin)]
    assert SECRET not in scene.everything()
    for name in ("recent", "callbacks", "undelivered"):
        assert scene.stage.server.zscore(f"{prefix(ACCOUNT)}{name}", "a") is None
    assert scene.stage.ttl("job", "a") > 0
    assert scene.stage.ttl("body", "a") > 0


def test_nothing_is_bought_again_under_its_id_or_its_key(scene: Scene) -> None:
    """A message that comes again, the same request, another one, and another caller with the key: an answer each."""
    changes: dict[str, Any] = {"params": PARAMS, "idempotency_key": "order-1"}
    scene.job("a", **changes)
    scene.erase("a")
    for again in (scene.stage.resume("a"), scene.stage.arrive("a", **changes), scene.stage.arrive("a")):
        assert (again.verb, again.other) == (Verb.STALE, "canceled")
    record = scene.stage.ledger.jobs.find("a")
    assert record
    assert (record.state, record.failure.code) == (JobState.CANCELED, "canceled")
    assert "erased on request" in record.failure.message
    assert record.request.params == {}
    assert scene.stage.open("b", **changes).other == "a"
    follow = scene.stage.arrive("c", **{**changes, "params": {"modelID": "m1", "prompt": "another"}})
    assert (follow.verb, follow.other) == (Verb.FOLLOW, "a")
    assert scene.stage.server.hget(idempotency_key("order-1"), "fp") == "erased"
    assert scene.stage.clocks("a") == set()


def test_the_book_stays_as_it_is(scene: Scene) -> None:
    """Its sums, and what stands in the small record of its purchase."""
    quote = Quote(amount=25_000, currency="USD", source="settings")
    scene.job("a", quote=quote, tenant="acme")
    day = datetime.fromtimestamp(scene.stage.clock.now, UTC).date()
    before = scene.stage.ledger.books.day(ACCOUNT, day)
    assert [sums.spent for sums in before.values()] == [25_000]
    known = scene.stage.ledger.jobs.find("a")
    assert known
    scene.erase("a")
    assert scene.stage.ledger.books.day(ACCOUNT, day) == before
    record = scene.stage.ledger.jobs.find("a")
    assert record
    assert (record.text("booked"), record.text("currency")) == (known.text("booked"), "USD")
    scene.stage.ledger.jobs.answered(ACCOUNT, "a")
    assert scene.stage.ledger.books.day(ACCOUNT, day) == before


@pytest.mark.parametrize("state", ["open", "submitting", "running", "unconfirmed"])
def test_a_job_that_goes_on_is_refused(scene: Scene, state: str) -> None:
    """Nothing of it goes, and the reason says what to do."""
    getattr(scene.stage, state)("a", params=PARAMS)
    before = scene.everything()
    report = scene.erase("a")
    assert report.erased == []
    assert ("settle it first" if state == "unconfirmed" else "bide cancel a") in report.refused["a"]
    assert not report.whole
    assert before in scene.everything() or scene.stage.state("a") not in ("", "canceled")
    assert SECRET in scene.everything()


def test_a_job_whose_caller_has_no_answer_is_refused(scene: Scene) -> None:
    """The worker that brings the answer needs the record."""
    record, token = scene.stage.storing("a", params=PARAMS)
    assert scene.stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
    assert "no answer yet" in scene.erase("a").refused["a"]


def test_a_change_between_read_and_erasure_is_noticed(scene: Scene) -> None:
    """A purchase that turns up meanwhile is not lost."""
    scene.job("a")
    eraser = scene.eraser(Wanted(frozenset({"a"})))
    found = list(eraser._targets())
    scene.stage.server.hset(f"{prefix(ACCOUNT)}job:a", "other_pid", "p-2")
    eraser._erase(found)
    assert "changed meanwhile" in eraser.report.refused["a"]
    assert scene.stage.field("a", "other_pid") == "p-2"
    assert scene.erase("a").erased == ["a"]
    assert scene.stage.field("a", "other_pid") == "p-2"


def test_conditions_hold_together(scene: Scene) -> None:
    """By tenant, also as metadata; by metadata; by age; and by all of them."""
    scene.job("acme-1", tenant="acme", metadata={"order": 7})
    scene.job("acme-2", metadata={"tenant": "acme", "order": "8"})
    scene.job("other", tenant="other", metadata={"order": 7})
    scene.stage.clock.advance(3 * 24 * 3600)
    scene.job("late", tenant="acme", metadata={"order": 7})
    between = datetime.fromtimestamp(scene.stage.clock.now - 24 * 3600, UTC)

    def found(**conditions: Any) -> list[str]:
        return sorted(scene.eraser(Wanted(**conditions), dry_run=True).run().erased)

    assert found(tenant="acme") == ["acme-1", "acme-2", "late"]
    assert found(metadata=(("order", "7"),)) == ["acme-1", "late", "other"]
    assert found(tenant="acme", before=between) == ["acme-1", "acme-2"]
    assert found(tenant="acme", metadata=(("order", "7"),), before=between) == ["acme-1"]
    assert found(ids=frozenset({"late", "other"}), tenant="acme") == ["late"]
    assert sorted(scene.erase(tenant="acme", before=between).erased) == ["acme-1", "acme-2"]
    assert scene.stage.state("late") == "succeeded"


def test_objects_without_a_record_are_found(scene: Scene) -> None:
    """By their job.json; where there is none, by what the objects say of themselves. Their ids buy nothing."""
    for name in ("a", "b", "c"):
        scene.job(name, tenant="acme" if name != "c" else "other", metadata={"order": "größe 5"}, output_prefix="x/y")
    half = scene.job("half", tenant="acme", metadata={"order": "größe 5"})
    del scene.objects[f"{half}job.json"]
    for name in ("a", "b", "c", "half"):
        scene.forget_record(name)
    assert sorted(scene.erase(tenant="acme", metadata=(("order", "größe 5"),)).erased) == ["a", "b", "half"]
    assert min(key for key in scene.objects if not key.startswith("erasures/")).split("/")[5] == "c"
    assert taken(scene.stage.arrive("a", params=PARAMS), Verb.ANSWER).state is JobState.CANCELED
    assert scene.erase("c").erased == ["c"]
    assert scene.erase("c", "never").unknown == ["c", "never"]


def test_an_upload_goes_with_the_last_job_that_names_it(scene: Scene) -> None:
    """While another job names it, it stays."""
    scene.objects[UPLOAD] = b"a face"
    inputs = {"inputs": {"person": f"s3://memory/{UPLOAD}"}, "operation": "images.train"}
    scene.job("a", **inputs)
    scene.job("b", **inputs)
    assert scene.erase("a").shared_uploads == 1
    assert UPLOAD in scene.objects
    report = scene.erase("b")
    assert (report.shared_uploads, report.objects) == (0, 3)
    assert UPLOAD not in scene.objects


def test_followers_lose_their_copy_of_the_result(scene: Scene) -> None:
    """Celery keeps the result under the id of each caller."""
    changes: dict[str, Any] = {"params": PARAMS, "idempotency_key": "k"}
    scene.job("a", **changes)
    assert scene.stage.arrive("b", **changes).verb is Verb.FOLLOW
    scene.stage.server.set("celery-task-meta-b", SECRET)
    scene.stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="succeeded")
    report = scene.erase("a")
    assert (report.erased, report.results) == (["a"], 2)
    assert SECRET not in scene.everything()


def test_the_same_call_goes_on_after_a_kill(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed behind each kind: the second call erases the rest, and counts what is left."""
    for at in range(len(module.KINDS) + 1):
        scene.job(f"j{at}", tenant=f"t{at}")

        def die(*_: object) -> None:
            raise StorageError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(module, "KINDS", (*module.KINDS[:at], die))
            with pytest.raises(StorageError):
                scene.erase(tenant=f"t{at}")
        assert scene.stage.state(f"j{at}") == "succeeded"
        assert scene.erase(tenant=f"t{at}").erased == [f"j{at}"]
        assert scene.erase(tenant=f"t{at}").erased == []
    assert SECRET not in scene.everything()
    reports = [json.loads(scene.objects[key]) for key in scene.objects if key.startswith("erasures/")]
    assert sum(report["finished_at"] is None for report in reports) == len(module.KINDS) + 1


def test_many_jobs_go_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """More jobs than one page has; one that goes on is left."""
    monkeypatch.setattr(module, "PAGE", 4)
    scene = Scene(packs=True)
    for number in range(10):
        scene.job(f"j{number}", tenant="acme")
    scene.stage.running("live", tenant="acme")
    report = scene.erase(tenant="acme")
    assert (len(report.erased), report.objects, set(report.refused)) == (10, 20, {"live"})


def test_the_report_names_no_person(scene: Scene) -> None:
    """Ids of jobs, counts and digests; names and values of the conditions are not in it."""
    scene.job("a", tenant="jane-doe", metadata={"mail": "jane@example.com"})
    report = scene.erase(tenant="jane-doe", metadata=(("mail", "jane@example.com"),))
    written = scene.objects[report.key].decode()
    assert "jane" not in written
    assert json.loads(written)["jobs"] == ["a"]
    assert json.loads(written)["removed"]["objects"] == 2
    assert json.loads(written)["finished_at"]
    assert any("Flower" in each for each in json.loads(written)["stays"]["out_of_reach"])


def test_the_command_asks_and_says_what_it_did(scene: Scene) -> None:
    """A dry run removes nothing; without a yes nothing goes; a refusal is exit code 1."""
    scene.job("a", tenant="acme")
    scene.stage.running("live", tenant="acme")
    run = Command(scene.stage, store=scene.storage)
    dry = run("erase", "--tenant", "acme", "--dry-run")
    assert dry.exit_code == 1
    assert "1 jobs would be erased, with 2 objects" in dry.output
    assert "bide cancel live" in dry.output
    assert run("erase", "--tenant", "acme", typed="n\n").exit_code == 1
    assert scene.stage.state("a") == "succeeded"
    assert run("erase").exit_code == 2
    done = run("erase", "a", "--yes", "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["jobs"] == ["a"]
    assert json.loads(done.output)["report"] in scene.objects
    assert "erased before: a" in run("erase", "a", "--yes").output
    assert run("erase", "--metadata", "x=y", "--before", "2020-01-01", "--yes").exit_code == 0


def test_people_see_what_became_of_it(scene: Scene) -> None:
    """The commands on single jobs take the small record for a canceled job, and show nothing of the erased one."""
    scene.job("a", tenant="acme", callback_url="https://example.com/h")
    scene.erase("a")
    run = Command(scene.stage, store=scene.storage)
    for command in (("explain", "a"), ("jobs", "--state", "canceled")):
        shown = run(*command)
        assert shown.exit_code == 0, shown.output
        assert "erased on request" in shown.output
        assert SECRET not in shown.output


def test_what_a_job_left_at_another_account_loses_its_content(scene: Scene) -> None:
    """What its provider answered there; amounts and where it went stay."""
    scene.job("a")
    moves = [
        {"provider": "fal", "account": "default", "operation": "run", "code": "rejected", "message": SECRET, "at": 1.0}
    ]
    left = f"{prefix(AccountName('fal', 'default'))}left:a"
    scene.stage.server.hset(left, mapping={"moved_to": str(ACCOUNT), "state": "failed", "error": SECRET, "booked": "x"})
    record = scene.stage.ledger.jobs.find("a")
    assert record
    kept = {**record.fields, "tried": json.dumps(moves)}
    with_moves = replace(record, fields=kept)
    assert records.erase(scene.stage.ledger, with_moves) == ""
    assert scene.stage.server.hgetall(left) == {"moved_to": str(ACCOUNT), "state": "failed", "booked": "x"}


def test_a_record_that_waits_to_be_packed_stays_erased(scene: Scene) -> None:
    """What a script found before the erasure is not written after it."""
    packer = scene.stage.ledger.packer
    packer.waits = True
    scene.job("a")
    scene.erase("a")
    packer.flush()
    record = scene.stage.ledger.jobs.find("a")
    assert record
    assert record.text("erased")
