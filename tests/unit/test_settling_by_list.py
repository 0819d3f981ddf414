"""Doubts that the provider's list settles: only where one listed job fits one doubt; else they are held."""

from __future__ import annotations

import pytest

from bide.contract import FailureCode
from bide.ledger.settling import settling_how
from bide.providers.base import Answer
from tests.unit.guild import ACCOUNT, Guild, dying_at
from tests.unit.lister import LATE_SECONDS, OTHER, Lister, html, lister
from workers.listed import MOST_PAGES

__all__ = ["lister"]


@pytest.mark.parametrize("plan", ["lost", "lost 500", "lost 504"])
def test_the_one_job_that_fits_is_attached(lister: Lister, plan: str) -> None:
    """The job goes on, was bought once, and the timeline says why."""
    lister.buy("a", plan)
    assert lister.state() == "submitting"
    assert "list of recent jobs" in settling_how(lister.record())
    lister.look()
    assert lister.stands() == ("running", "w1")
    assert lister.workshop.purchases == 1
    assert "settled found on the provider's list: w1 alone fits, made 2023-11-14 22:13:20 UTC" in lister.evidence()


def test_a_dead_workers_submit_is_found(lister: Lister) -> None:
    """Its request may be under way for a while, and the list is looked at after that."""
    with dying_at("answer_read"):
        lister.buy("a")
    lister.pass_time(60)
    assert (lister.state(), lister.looks) == ("submitting", 0)
    lister.pass_time(120)
    assert lister.stands() == ("running", "w1")


def test_nothing_is_decided_before_the_providers_delay_is_over(lister: Lister) -> None:
    """Another job that fits may be on the list before ours is."""
    lister.late_seconds = LATE_SECONDS - 5
    lister.buy("a", "lost")
    lister.list("stranger")
    lister.pass_time(LATE_SECONDS - 1)
    assert lister.looks == 0
    lister.hold()
    assert lister.stands() == ("unconfirmed", "")
    assert "2 jobs there fit: stranger and w1" in lister.record().failure.message


def test_a_list_that_shows_it_late_is_looked_at_again(lister: Lister) -> None:
    """Later than the provider is thought to take: several looks come before the job is held."""
    lister.late_seconds = LATE_SECONDS + 200
    lister.buy("a", "lost")
    lister.pass_time(LATE_SECONDS + 150)
    assert lister.state() == "submitting"
    assert lister.looks > 3
    lister.pass_time(300)
    assert lister.stands() == ("running", "w1")


def test_absence_from_the_list_proves_nothing(lister: Lister) -> None:
    """A list may be incomplete: nothing is sent again, and an operator settles it."""
    lister.buy("a", "dropped")
    lister.hold()
    assert lister.stands() == ("unconfirmed", "")
    assert lister.record().failure.code is FailureCode.SUBMISSION_UNKNOWN
    assert "none of the 0 jobs there fits" in lister.record().failure.message
    assert len(lister.workshop.keys) == 1
    assert lister.looks > 5
    looks = lister.looks
    lister.hold()
    assert lister.looks == looks


def test_two_jobs_that_fit_are_one_too_many(lister: Lister) -> None:
    """Nobody knows which is ours."""
    lister.buy("a", "lost")
    lister.list("stranger", seconds=3)
    lister.hold()
    assert lister.state() == "unconfirmed"
    assert "2 jobs there fit" in lister.record().failure.message


@pytest.mark.parametrize("account", [ACCOUNT, OTHER])
def test_a_job_that_fits_two_doubts_is_attached_to_none(lister: Lister, account: object) -> None:
    """Of this account or of another, which may share its key."""
    lister.buy("a", "lost")
    lister.buy("b", "dropped", account=account)  # type: ignore[arg-type]  # parametrize gives objects
    lister.look()
    assert lister.stands("a") == ("submitting", "")
    assert "w1 fits job b as well" in lister.evidence("a")
    lister.hold()
    lister.hold()
    assert lister.stands("a") == ("unconfirmed", "")
    assert lister.of("b", account).text("pid") == ""  # type: ignore[arg-type]  # as above


def test_doubts_that_differ_are_settled_side_by_side(lister: Lister) -> None:
    """Each by what the list says of the params."""
    lister.buy("a", "lost", motif="a fox")
    lister.buy("b", "lost", motif="a bear")
    lister.look()
    assert (lister.stands("a"), lister.stands("b")) == (("running", "w1"), ("running", "w2"))


def test_doubts_that_the_list_can_not_tell_apart_are_held(lister: Lister) -> None:
    """As where it has no params: two purchases in one window."""
    lister.hides.add("motif")
    lister.buy("a", "lost", motif="a fox")
    lister.buy("b", "lost", motif="a bear")
    lister.hold()
    assert {lister.state("a"), lister.state("b")} == {"unconfirmed"}


def test_the_other_doubt_is_settled_by_hand_and_frees_the_first(lister: Lister) -> None:
    """An operator has attached the other's purchase: what is left fits one doubt alone."""
    lister.hides.add("motif")
    lister.buy("a", "lost", motif="a fox")
    lister.buy("b", "lost", motif="a bear")
    lister.look()
    assert lister.ledger.unconfirmed.attach(ACCOUNT, "b", "w2")[0]
    lister.pass_time(300)
    assert lister.stands("a") == ("running", "w1")


def test_what_a_known_job_has_is_no_candidate(lister: Lister) -> None:
    """Bought by this account or another one of the provider, with the same params in the same window."""
    lister.buy("b", account=OTHER)
    lister.buy("c")
    lister.buy("a", "dropped")
    lister.hold()
    assert lister.stands("a") == ("unconfirmed", "")
    assert "none of the 2 jobs there fits that no other job of ours has" in lister.record().failure.message


def test_a_known_purchase_beside_ours_does_not_hinder(lister: Lister) -> None:
    """Two equal requests, of which one was answered."""
    lister.buy("b")
    lister.buy("a", "lost")
    lister.look()
    assert lister.stands("a") == ("running", "w2")


@pytest.mark.parametrize("left", ["canceled", "given up", "resubmitted"])
def test_a_purchase_that_nobody_looks_for_any_more_may_be_the_one(lister: Lister, left: str) -> None:
    """Of a job that was canceled or given up in doubt, or submitted again: it fits that job as well."""
    lister.buy("b", "lost")
    lister.buy("a", "dropped")
    if left == "canceled":
        lister.ledger.jobs.cancel(ACCOUNT, "b", at_provider=False)
    elif left == "given up":
        lister.ledger.unconfirmed.give_up(ACCOUNT, "b")
    else:
        lister.ledger.unconfirmed.resubmit(ACCOUNT, "b")
    lister.hold()
    assert lister.stands("a") == ("unconfirmed", "")
    assert "fits job b as well" in lister.evidence("a")


def test_a_job_that_the_list_names_otherwise_may_be_the_one(lister: Lister) -> None:
    """As PhotoGPT's trainings, which are polled as their models."""
    lister.order("pictured", job_id="b")
    assert lister.stands("b")[0] == "running"
    lister.list("training", operation="")
    lister.buy("a", "dropped")
    lister.look()
    assert lister.stands("a") == ("submitting", "")
    assert "training fits job b as well" in lister.evidence("a")


def test_a_submit_that_is_under_way_may_be_the_one(lister: Lister) -> None:
    """Its purchase is listed, and its answer not recorded yet."""
    lister.buy("a", "dropped")
    with dying_at("answer_read"):
        lister.buy("b")
    lister.pass_time(LATE_SECONDS + 4)
    assert lister.stands("a") == ("submitting", "")
    assert "w1 fits job b as well" in lister.evidence("a")


@pytest.mark.parametrize("seconds", [-3600.0, -90.0, 200.0, 3600.0])
def test_a_job_of_another_time_does_not_fit(lister: Lister, seconds: float) -> None:
    """It was made before the request was sent or after it was over, by more than clocks may differ."""
    lister.list("stranger", seconds=seconds)
    lister.buy("a", "dropped")
    lister.hold()
    assert lister.state() == "unconfirmed"


def test_a_submit_that_was_surely_refused_bought_nothing(lister: Lister) -> None:
    """What was made at its time is not ours: the last submit counts."""
    lister.buy("a", *[429] * 5, "lost")
    lister.list("stranger", seconds=1)
    Guild.pass_time(lister, 500)  # which also lets jobs in
    assert lister.record().number("submits") == 6
    assert lister.stands() == ("running", "w1")


@pytest.mark.parametrize("seconds", [-45.0, 100.0])
def test_clocks_may_differ(lister: Lister, seconds: float) -> None:
    """By a minute."""
    lister.buy("a", "dropped")
    lister.list("w1", seconds=seconds)
    lister.look()
    assert lister.stands() == ("running", "w1")


@pytest.mark.parametrize("work", [{"motif": "a bear"}, {"operation": "replay"}])
def test_a_job_that_is_said_to_be_another_does_not_fit(lister: Lister, work: dict[str, str]) -> None:
    """By its params, or its operation."""
    lister.buy("a", "dropped")
    lister.list("stranger", **work)  # type: ignore[arg-type]  # mypy can't tell which names these are
    lister.hold()
    assert lister.state() == "unconfirmed"


def test_a_job_without_a_time_is_not_attached(lister: Lister) -> None:
    """Nothing says that it was made by our request."""
    lister.hides.add("at")
    lister.buy("a", "lost")
    lister.hold()
    assert lister.state() == "unconfirmed"
    assert "does not say when w1 was made" in lister.record().failure.message


@pytest.mark.parametrize("answer", [html(), Answer(500), Answer(401, {}, b"{}"), Answer(429, {"retry-after": "30"})])
def test_a_list_that_is_refused_or_no_list_is_asked_for_again(lister: Lister, answer: Answer) -> None:
    """Nothing is decided meanwhile; once the list is there, it settles the doubt."""
    lister.list_answer = answer
    lister.buy("a", "lost")
    lister.pass_time(LATE_SECONDS + 60)
    assert (lister.state(), lister.looks > 1) == ("submitting", True)
    lister.list_answer = None
    lister.pass_time(300)
    assert lister.stands() == ("running", "w1")


def test_all_pages_are_read(lister: Lister) -> None:
    """A second job that fits may stand on the last one."""
    lister.page_size = 2
    lister.list("stranger", seconds=-5)
    lister.buy("a", "lost")
    for number in range(5):
        lister.list(f"bear-{number}", motif="a bear", seconds=number)
    lister.hold()
    assert "2 jobs there fit" in lister.record().failure.message


def test_a_list_that_is_too_long_decides_nothing(lister: Lister) -> None:
    """What stands on the pages that are not read may fit as well."""
    lister.page_size = 1
    lister.buy("a", "lost")
    for number in range(MOST_PAGES):
        lister.list(f"bear-{number}", motif="a bear")
    lister.hold()
    assert lister.state() == "unconfirmed"
    assert "more than" in lister.record().failure.message
