"""The sandbox's jobs: their time, their fates, and the ledger that outlives a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.jobs import Draft, Job, Phase, latency_of
from sandbox.purchases import Purchases
from sandbox.world import BAD_KEY, Options, World


def job(**changes: object) -> Job:
    """A job bought at second 1000 that takes 4 s."""
    known: dict[str, object] = {
        "id": "j1",
        "provider": "photogpt",
        "operation": "images.generation",
        "digest": "d1",
        "accepted_at": 1000.0,
        "latency_seconds": 4.0,
    }
    return Job(**(known | changes))  # type: ignore[arg-type]  # the fields come as one mapping


def draft(prompt: str, **params: object) -> Draft:
    """A request for an image."""
    return Draft("photogpt", "images.generation", {"prompt": prompt, **params}, prompt)


def test_latency_is_the_same_for_the_same_digest_and_near_the_mean() -> None:
    """Latencies repeat, differ between digests, and stay within 30 % of the mean."""
    latencies = [latency_of(str(n), mean_seconds=10.0) for n in range(200)]

    assert latency_of("7", mean_seconds=10.0) == latencies[7]
    assert len(set(latencies)) == 200
    assert min(latencies) >= 7.0
    assert max(latencies) <= 13.0
    assert latency_of("7", mean_seconds=10.0, seed=1) != latencies[7]


def test_a_job_goes_from_queued_over_running_to_done() -> None:
    """What polls show over the time of a job."""
    one = job()

    assert [one.observe(1000.0 + t) for t in (0.0, 0.9, 1.1, 3.9, 4.0, 9.0)] == [
        Phase.QUEUED,
        Phase.QUEUED,
        Phase.RUNNING,
        Phase.RUNNING,
        Phase.DONE,
        Phase.DONE,
    ]
    assert one.polls == 6


@pytest.mark.parametrize(
    ("fate", "end"),
    [
        ("fail", Phase.FAILED),
        ("expired", Phase.MISSING),
        ("empty_result", Phase.EMPTY),
        ("never_finishes", Phase.RUNNING),
    ],
)
def test_a_fate_changes_only_the_end(fate: str, end: Phase) -> None:
    """A job with another end runs like any other until its time is over, and has no files then."""
    one = job(fates={fate: 0.0})

    assert one.observe(1002.0) is Phase.RUNNING
    assert one.observe(2000.0) is end
    assert not one.has_files(2000.0)


def test_an_empty_answer_may_come_once() -> None:
    """With `empty_once` the first success is empty, the next is not."""
    one = job(fates={"empty_once": 0.0})

    assert one.glance(2000.0) is Phase.DONE
    assert [one.observe(2000.0), one.observe(2000.0)] == [Phase.EMPTY, Phase.DONE]


def test_replication_lag_hides_the_first_polls() -> None:
    """With `not_found_first` so many polls do not find the job, then it is there."""
    one = job(fates={"not_found_first": 2.0})

    assert [one.observe(1000.0) for _ in range(3)] == [Phase.MISSING, Phase.MISSING, Phase.QUEUED]


def test_the_same_request_has_the_same_digest_and_another_has_another() -> None:
    """A digest is that of provider, operation and params, whatever their order."""
    assert draft("fox", seed=1, steps=2).digest == draft("fox", steps=2, seed=1).digest
    assert draft("fox").digest != draft("hare").digest


def test_the_text_of_a_request_leaves_long_strings_out() -> None:
    """Pictures in base64 are not searched for orders."""
    request = Draft("cyberphotobooth", "generate", {"params": {"Face": "A" * 10_000, "Prompt": "fox"}, "tags": ["red"]})

    assert request.text == "fox\nred"


def test_accepting_writes_a_purchase_with_its_reference() -> None:
    """A purchase says who, what, when and for which prompt; orders in the prompt become fates."""
    world = World(Options())
    try:
        bought = world.accept(draft("a fox [fault:fail:out_of_memory]"), "j1")
        receipt = bought.receipt()
    finally:
        world.close()

    assert bought.fates == {"fail": "out_of_memory"}
    assert {"provider": "photogpt", "id": "j1", "digest": bought.digest}.items() <= receipt.items()
    assert receipt["reference"] == "a fox [fault:fail:out_of_memory]"
    assert receipt["time"] == bought.accepted_at


def test_the_same_request_twice_is_two_purchases() -> None:
    """Nothing hides a double purchase: both are listed, with one digest."""
    world = World(Options())
    try:
        world.accept(draft("fox"), "j1")
        world.accept(draft("fox"), "j2")
        bought = [(entry.id, entry.digest) for entry in world.purchases.of("photogpt")]
    finally:
        world.close()

    assert [entry[0] for entry in bought] == ["j1", "j2"]
    assert bought[0][1] == bought[1][1]


def test_the_journal_brings_jobs_back(tmp_path: Path) -> None:
    """After a restart every job is known as it was bought, with its fate and its orders."""
    journal = tmp_path / "purchases.jsonl"
    first = World(Options(journal=journal))
    one = first.accept(draft("fox [fault:never_finishes] [fault:not_found times=2]"), "j1")
    first.close()

    second = World(Options(journal=journal))
    known = second.purchases.get("photogpt", "j1")
    second.close()

    assert known is not None
    assert known.record() == one.record()
    assert [rule.fault for rule in known.orders] == ["never_finishes", "not_found"]


def test_a_torn_line_in_the_journal_costs_only_itself(tmp_path: Path) -> None:
    """A kill may cut the last line; the others are read, and the next purchase stands on a line of its own."""
    journal = tmp_path / "purchases.jsonl"
    whole = json.dumps(job().record())
    journal.write_text(whole + "\n" + whole[:40], encoding="utf-8")

    purchases = Purchases(journal)
    purchases.add(job(id="j2"))
    purchases.close()
    again = Purchases(journal)
    again.close()

    assert [entry.id for entry in again.of()] == ["j1", "j2"]


def test_a_reset_empties_the_journal_too(tmp_path: Path) -> None:
    """What was reset does not come back at the next start."""
    journal = tmp_path / "purchases.jsonl"
    purchases = Purchases(journal)
    purchases.add(job())
    purchases.clear()
    purchases.add(job(id="j2"))
    purchases.close()

    again = Purchases(journal)
    again.close()
    assert [entry.id for entry in again.of()] == ["j2"]


def test_a_forgotten_job_stays_bought() -> None:
    """Deleting a job at the provider does not give the money back."""
    purchases = Purchases()
    one = job()
    purchases.add(one)
    purchases.forget(one)

    assert purchases.get("photogpt", "j1") is None
    assert [entry.id for entry in purchases.of()] == ["j1"]


@pytest.mark.parametrize(
    ("options", "key", "taken"),
    [
        (Options(), "anything", True),
        (Options(), "", False),
        (Options(), BAD_KEY, False),
        (Options(key="right"), "right", True),
        (Options(key="right"), "wrong", False),
    ],
)
def test_keys(options: Options, key: str, taken: bool) -> None:
    """Any key but none and the bad one is taken, unless one is set."""
    world = World(options)
    try:
        assert world.takes_key(key) is taken
    finally:
        world.close()


def test_the_key_is_not_shown() -> None:
    """The options can be printed."""
    assert "right" not in repr(Options(key="right"))
