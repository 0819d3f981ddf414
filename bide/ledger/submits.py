"""The scripts around a purchase: the intent before it, and what its answer means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bide.contract import FailureCode
from bide.errors import NotReplicatedError, OverBudgetError
from bide.ledger import scripts
from bide.ledger.budgets import limit_of
from bide.ledger.executor import Executor
from bide.ledger.failures import bought_before, canceled_meanwhile, error_of
from bide.ledger.records import BoughtWith, Messages, Record
from bide.ledger.replies import messages_of
from bide.ledger.script import Script
from bide.ledger.settling import Promise, Settled, in_one_line
from bide.ledger.words import joined
from bide.money.budgets import Budget, title
from bide.money.quote import Quote

#: What `SubmitScripts.intend` says where the job has to wait after all.
HELD_BACK = -1

#: What `SubmitScripts.intend` says where the job may not be bought any more.
TOO_LATE = -2

#: What `SubmitScripts.intend` says where the job may have been accepted, and its request can't be sent again.
UNREPEATABLE = -3

#: What `SubmitScripts.intend` says where the ledger is not the one that this process knows.
OTHER_LEDGER = -4

#: What the script of `intend` says, with a budget's name, where the job waits for it.
WAITS_FOR_BUDGET = -6


class SubmitScripts:
    """Records submits and their answers; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def intend(
        self,
        record: Record,
        token: str,
        *,
        bought_with: BoughtWith | None = None,
        promise: Promise | None = None,
        absent: str = "",
        lane: str = "",
        quote: Quote | None = None,
        budgets: Sequence[Budget] = (),
    ) -> int:
        """Write the intent to buy; the number of this attempt, or 0 where the job is no longer ours.

        `HELD_BACK`: its account was paused or its breaker opened meanwhile; the job waits again.
        `TOO_LATE`: the deadline has passed, and the job is still this worker's to end. `UNREPEATABLE`: the job may
        have been accepted, and what would be sent differs, or its key is too old; it is this worker's to end, too.
        `OTHER_LEDGER`: nothing was written, and nothing may be bought.
        `bought_with`, `promise` and the `lane` of its request go into the record. `absent`: the evidence that the
        provider has no job under the key, so that nothing was bought. `quote`: what it costs, for the book of its
        account; None leaves the job out of it. `budgets`: those that it must fit into.

        Raises `OverBudgetError` where one has no room for it, and `NotReplicatedError` where the intent is written and
        not safe: nothing may be sent, see `take_back`.
        """
        known, promised = bought_with or BoughtWith(), promise or Promise()
        script = scripts.job.Intend(
            id=record.job_id,
            token=token,
            base_url=known.base_url,
            adapter=known.adapter,
            contract=promised.contract,
            free=promised.free,
            key=promised.key,
            digest=promised.digest,
            live_seconds=promised.live_seconds,
            sending_seconds=promised.sending_seconds,
            signed_at=promised.signed_at,
            absent=bool(absent),
            evidence=in_one_line(absent),
            lane=lane,
            ledger_id=self._executor.identity.expected,
            ledger_looked_at=self._executor.identity.earliest,
            price="" if quote is None or quote.amount is None else str(quote.amount),
            currency=quote.currency if quote else "",
            priced_by=quote.source if quote else "",
            budgets=[limit_of(budget) for budget in budgets],
        )
        reply = self._executor.run_safely(record.account, script)
        if isinstance(reply, list):
            what, budget = reply
            raise OverBudgetError(title(budget), waits=int(what) == WAITS_FOR_BUDGET)
        return int(reply)

    def take_back(self, record: Record, token: str, *, seconds: float, reason: str) -> Messages:
        """Undo an intent whose request was surely not sent, and let the account submit nothing for `seconds`.

        Whatever server it reaches: only an intent under our own lease is taken back, so that no other worker's submit,
        which may have the same number there, is taken for ours. Raises `NotReplicatedError` where a failover may bring
        the intent back: then the job becomes unconfirmed.
        """
        canceled_error = canceled_meanwhile(
            error_of(record.account, FailureCode.REJECTED, reason, job_id=record.job_id)
        )
        script = scripts.job.TakeBack(
            id=record.job_id,
            token=token,
            seconds=seconds,
            reason=reason,
            canceled_error=canceled_error,
            unconfirmed_error=bought_before(canceled_error),
        )
        return self._messages(record, script)

    def hold_back(self, record: Record, token: str, *, seconds: float, reason: str) -> Messages:
        """Put a job that may not be submitted now back to its place in line; the account submits nothing meanwhile."""
        script = scripts.job.HoldBack(id=record.job_id, token=token, seconds=seconds, reason=reason)
        reply = self._executor.run(record.account, script)
        return messages_of(record.account, reply) if reply else Messages()

    def submitted(  # noqa: PLR0913 - all of it is one answer
        self,
        record: Record,
        token: str,
        *,
        attempt: int,
        provider_job_id: str,
        first_poll_seconds: float = 0.0,
        estimate_seconds: float | None = None,
        outputs: str | None = None,
        partial: str = "",
        bought_with: BoughtWith | None = None,
        settled: Settled | None = None,
    ) -> Messages:
        """Record that the provider accepted the submit.

        `outputs`: None = to be polled; '' = done, ask again for them; else their addresses. `partial`: what is missing
        of them. A late answer of an attempt that was given up as unconfirmed counts too: the job then goes on.

        `settled`: of a submit that was sent again. Where the provider broke its promise, also by giving another id than
        one that is known for the key, the job is unconfirmed.

        Raises `NotReplicatedError` where it is recorded and not safe: to be recorded again until it is.
        """
        done = "" if outputs is None else outputs or "ask"
        known, how = bought_with or BoughtWith(), settled or Settled()
        script = scripts.job.Submitted(
            id=record.job_id,
            attempt=str(attempt),
            provider_job_id=provider_job_id,
            first_poll_seconds=first_poll_seconds,
            outputs=done,
            estimate_seconds=str(estimate_seconds or ""),
            partial=partial,
            handle=known.handle,
            base_url=known.base_url,
            adapter=known.adapter,
            evidence=in_one_line(how.evidence),
            others=joined(how.others),
            new=how.new,
            breach=how.breach,
            breach_error=how.breach_error,
            cost=known.cost,
        )
        return self._messages(record, script)

    def _messages(self, record: Record, script: Script) -> Messages:
        """The messages of a script whose writes must be safe; they are in a `NotReplicatedError`, too."""
        try:
            return _messages_of(record, self._executor.run_safely(record.account, script))
        except NotReplicatedError as error:
            error.messages = _messages_of(record, *error.replies)
            raise

    def refused(
        self,
        record: Record,
        token: str,
        *,
        attempt: int,
        reason: str,
        after_seconds: float | None,
        evidence: str = "",
    ) -> Messages:
        """Record a refusal that is worth another try: the job is back in line while the account's breaker is open.

        A late answer of an attempt that was given up as unconfirmed counts too. A job whose caller knows that has
        failed then, since the caller may have ordered anew: the hint that this returns brings it the failure. A job
        that was canceled meanwhile ends as canceled. `evidence`: what the refusal means for a doubt about an earlier
        submit under the same key.
        """
        unsettled = f"an earlier submit of it may have been accepted; this one was not: {reason}"
        message = f"the provider did not accept it, as its late answer says: {reason}"
        refusal = f"the provider did not accept it: {reason}"
        canceled_error = canceled_meanwhile(
            error_of(record.account, FailureCode.REJECTED, refusal, job_id=record.job_id)
        )
        script = scripts.job.Refused(
            id=record.job_id,
            token=token,
            block_seconds=after_seconds or 0,
            reason=reason,
            longest_block_seconds=max(self._executor.timing.longest_block_seconds, min(after_seconds or 0, 300)),
            attempt=str(attempt),
            error=error_of(record.account, FailureCode.REJECTED, message, job_id=record.job_id),
            canceled_error=canceled_error,
            unconfirmed_error=bought_before(canceled_error),
            unsettled_error=error_of(record.account, FailureCode.SUBMISSION_UNKNOWN, unsettled, job_id=record.job_id),
            evidence=in_one_line(evidence),
        )
        reply = self._executor.run(record.account, script)
        return messages_of(record.account, reply) if reply else Messages()


def _messages_of(record: Record, reply: Sequence[Any]) -> Messages:
    """The messages of a reply; nothing where the job was not the worker's."""
    if not reply:
        return Messages()
    hints, round_, *bought_elsewhere = reply
    return replace(messages_of(record.account, (hints, round_)), bought_after_leaving=any(bought_elsewhere))
