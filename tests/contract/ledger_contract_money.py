"""The ledger's contract about the book: what stands there for a job, wherever its way leads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bide.contract import JobState
from bide.ledger import Polled, Verb
from bide.ledger.records import BoughtWith
from bide.money.book import Row, Sums, booked
from bide.money.quote import Quote
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, taken

PRICE = Quote(40_000, "USD", "settings")
FREE_OF_CHARGE = '{"code":"generation_failed","message":"no","job_id":"","charged":"no"}'


def book(stage: Stage, at: float | None = None) -> Sums:
    """All rows of the day of a moment."""
    day = datetime.fromtimestamp(stage.clock.now if at is None else at, UTC).date()
    return sum(stage.ledger.books.day(ACCOUNT, day).values(), Sums())


def doubtful(stage: Stage, job_id: str = "j", **changes: Any) -> int:
    """A job whose submit got no answer: its attempt."""
    record, token, attempt = stage.submitting(job_id, quote=PRICE, **changes)
    stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
    return attempt


class MoneyContract:
    """The part of `LedgerContract` about money."""

    def test_an_intent_reserves_and_an_acceptance_spends(self, stage: Stage) -> None:
        """Under tenant, operation and lane; the end changes nothing."""
        record, token, attempt = stage.submitting("j", quote=PRICE)
        assert book(stage) == Sums(reserved=40_000)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p")
        assert book(stage) == Sums(spent=40_000, purchases=1) == booked(stage.field("j", "booked"))
        stage.ledger.jobs.cancel(ACCOUNT, "j")
        assert book(stage) == Sums(spent=40_000, purchases=1)
        day = datetime.fromtimestamp(stage.clock.now, UTC).date()
        assert list(stage.ledger.books.day(ACCOUNT, day)) == [Row("USD", "", "images.generation", "")]
        assert stage.field("j", "price") == "40000"
        assert (stage.field("j", "currency"), stage.field("j", "priced_by")) == ("USD", "settings")

    def test_a_refusal_gives_back(self, stage: Stage) -> None:
        """Also where the script runs twice; the next attempt reserves anew."""
        record, token, attempt = stage.submitting("j", quote=PRICE)
        for _ in range(2):
            stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=1)
        assert book(stage) == Sums(refunded=40_000)
        stage.clock.advance(2)
        token = stage.token()
        record = taken(stage.resume("j", token=token), Verb.SUBMIT)
        stage.ledger.submits.intend(record, token, quote=PRICE)
        assert book(stage) == Sums(reserved=40_000, refunded=40_000)

    @pytest.mark.parametrize(("charged", "spent"), [("no", 0), ("yes", 40_000), ("unknown", 40_000), ("", 0)])
    def test_a_refusal_for_good_costs_what_it_says(self, stage: Stage, charged: str, spent: int) -> None:
        """A provider that charges for what it refuses is believed."""
        record, token, attempt = stage.submitting("j", quote=PRICE)
        error = FREE_OF_CHARGE.replace(':"no"}', f':"{charged}"}}') if charged else ERROR
        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=error, attempt=attempt)
        assert (book(stage).spent, book(stage).reserved) == (spent, 0)

    def test_a_failure_without_charge_gives_back(self, stage: Stage) -> None:
        """What the provider made nothing of, and says that it did not charge."""
        stage.running("j", first_poll_seconds=0, quote=PRICE)
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "failed", value=FREE_OF_CHARGE)])
        assert book(stage) == Sums(refunded=40_000, purchases=1)

    def test_a_failure_of_unknown_charge_is_spent(self, stage: Stage) -> None:
        """The careful side."""
        stage.running("j", first_poll_seconds=0, quote=PRICE)
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "failed", value=ERROR)])
        assert book(stage) == Sums(spent=40_000, purchases=1)

    @pytest.mark.parametrize(
        ("cost", "sums"),
        [
            ("0.05 USD", Sums(spent=50_000, purchases=1)),
            ("0.0250005 USD", Sums(spent=25_000, purchases=1)),
            ("0.0250015 USD", Sums(spent=25_002, purchases=1)),
            ("0.02500051 USD", Sums(spent=25_001, purchases=1)),
            ("1000000000 USD", Sums(spent=10**15, purchases=1)),
            ("0 USD", Sums(refunded=40_000, purchases=1)),
            ("3 credits", Sums(spent=40_000, purchases=1)),
        ],
    )
    def test_a_cost_in_the_accounts_currency_counts_and_no_other(self, stage: Stage, cost: str, sums: Sums) -> None:
        """What the provider reports replaces the price, at the submit or later."""
        record, token, attempt = stage.submitting("j", quote=PRICE)
        bought = BoughtWith(cost=cost)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", bought_with=bought)
        assert book(stage) == sums
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "running", seconds=2, cost="0.01 USD")])
        assert book(stage).spent == 10_000

    def test_a_purchase_without_a_price_is_counted(self, stage: Stage) -> None:
        """It is not taken for free; a cost that comes later counts."""
        record, token, attempt = stage.submitting("j", quote=Quote(None, "USD"))
        assert book(stage) == Sums()
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p")
        assert book(stage) == Sums(purchases=1, unpriced=1)
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "running", seconds=2, cost="0.01 USD")])
        assert book(stage) == Sums(spent=10_000, purchases=1)

    @pytest.mark.parametrize("how", ["attach", "late", "give up", "refused late", "resubmit"])
    def test_a_doubt_stays_reserved_until_it_is_settled(self, stage: Stage, how: str) -> None:
        """The entries stay on the day of the intent, whatever the clock says by then."""
        begun, ledger = stage.clock.now, stage.ledger
        attempt = doubtful(stage)
        assert book(stage) == Sums(reserved=40_000)
        stage.clock.advance(3 * 24 * 3600)
        record = ledger.jobs.read(ACCOUNT, "j")
        assert record is not None
        expected = Sums(spent=40_000, purchases=1)
        if how == "attach":
            ledger.unconfirmed.attach(ACCOUNT, "j", "p")
        elif how == "late":
            ledger.submits.submitted(record, "", attempt=attempt, provider_job_id="p")
        elif how == "give up":
            ledger.unconfirmed.give_up(ACCOUNT, "j")
        elif how == "refused late":
            ledger.submits.refused(record, "", attempt=attempt, reason="429", after_seconds=1)
            expected = Sums(refunded=40_000)
        else:
            ledger.unconfirmed.resubmit(ACCOUNT, "j")
            token = stage.token()
            ledger.submits.intend(taken(stage.resume("j", token=token), Verb.SUBMIT), token, quote=PRICE)
            expected = Sums(reserved=40_000)
            assert book(stage) == expected, "the second purchase, on its own day"
        assert book(stage, begun) == expected
        assert how == "resubmit" or book(stage) == Sums()

    def test_an_id_that_was_not_the_jobs_is_reserved_again(self, stage: Stage) -> None:
        """An operator attached it, and the provider does not know it."""
        doubtful(stage)
        stage.ledger.unconfirmed.attach(ACCOUNT, "j", "p")
        assert book(stage) == Sums(spent=40_000, purchases=1)
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "failed", value=ERROR, note="lost")])
        assert stage.state("j") == "unconfirmed"
        assert book(stage) == Sums(reserved=40_000)

    def test_each_purchase_of_a_job_counts(self, stage: Stage) -> None:
        """The first submit was made again as its request allows, and both turn out to be accepted."""
        attempt = doubtful(stage, on_unknown="resubmit")
        token = stage.token()
        record = taken(stage.resume("j", token=token), Verb.SUBMIT)
        second = stage.ledger.submits.intend(record, token, quote=PRICE)
        assert book(stage) == Sums(reserved=80_000)
        for each, pid in ((attempt, "p1"), (second, "p2"), (attempt, "p1")):
            stage.ledger.submits.submitted(record, token, attempt=each, provider_job_id=pid)
        assert book(stage) == Sums(spent=80_000, purchases=2)

    @pytest.mark.parametrize(
        ("quote", "sums"),
        [(PRICE, Sums(spent=80_000, purchases=2)), (Quote(None, "USD"), Sums(purchases=2, unpriced=2))],
    )
    def test_an_id_that_no_submit_explains_is_a_purchase(self, stage: Stage, quote: Quote, sums: Sums) -> None:
        """A provider that gives two ids for one submit may charge for each, whether its price is known or not."""
        record, token, attempt = stage.submitting("j", quote=quote)
        for pid in ("p1", "p2"):
            stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=pid)
        assert book(stage) == sums
        stage.ledger.polls.record(ACCOUNT, [Polled("j", "running", seconds=2)])
        stage.ledger.jobs.cancel(ACCOUNT, "j")
        assert book(stage) == sums

    @pytest.mark.parametrize("what", ["accepted", "refused", "rejected", "died"])
    def test_a_canceled_submit_counts_as_it_turns_out(self, stage: Stage, what: str) -> None:
        """The job is over at once; its submit is under way."""
        record, token, attempt = stage.submitting("j", quote=PRICE)
        stage.ledger.jobs.cancel(ACCOUNT, "j")
        stage.ledger.jobs.answered(ACCOUNT, "j")
        assert book(stage) == Sums(spent=40_000, purchases=1), "the careful side"
        assert stage.field("j", "charge_unknown") == "1"
        if what == "accepted":
            stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p")
        elif what == "refused":
            stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=1)
        elif what == "rejected":
            stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
        assert bool(stage.field("j", "charge_unknown")) is (what == "died")
        none = what in ("refused", "rejected")
        assert book(stage) == (Sums(refunded=40_000) if none else Sums(spent=40_000, purchases=1))

    def test_a_currency_that_changes_is_not_added_up(self, stage: Stage) -> None:
        """The job's row keeps its currency; what its next purchase costs is not known in it."""
        doubtful(stage, on_unknown="resubmit")
        token = stage.token()
        record = taken(stage.resume("j", token=token), Verb.SUBMIT)
        stage.ledger.submits.intend(record, token, quote=Quote(5, "EUR", "settings"))
        assert book(stage) == Sums(reserved=40_000)
        assert stage.field("j", "currency") == "USD"

    def test_a_book_is_kept_for_some_time_after_its_last_entry(self, stage: Stage) -> None:
        """No key stays for ever."""
        stage.submitting("j", quote=PRICE)
        [key] = stage.server.keys("bide:*:book:*")
        assert 390 < stage.ttl_of(key) / 86400 <= 400
