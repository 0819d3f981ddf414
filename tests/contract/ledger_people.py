"""What people and providers do to the ledger of the machine: cancel, call, settle unconfirmed jobs, also twice."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter

import pytest
import redis
from hypothesis.stateful import RuleBasedStateMachine

from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Ledger, Messages, Record
from tests.contract.ledger_bill import Bill
from tests.contract.ledger_life import among, either, either_account, event, some
from tests.contract.ledger_stage import Clock


class People(RuleBasedStateMachine):
    """The part of `LedgerMachine` with the events of callers, operators and providers."""

    server: redis.Redis
    ledger: Ledger
    clock: Clock
    sent: list[tuple[AccountName, str]]
    late: set[str]
    allowed: Counter[str]
    bill: Bill

    @event(weight=2, which=some, at_provider=either)
    def cancel(self, which: int, at_provider: bool) -> None:
        """A caller or an operator cancels, twice where the first answer was lost; some providers can stop jobs."""
        for account, job_id in self.sent[which : which + 1] * 2:
            state, messages = self.ledger.jobs.cancel(account, job_id, at_provider=at_provider)
            self._send(messages)
            if not state:
                self.ledger.jobs.cancel_unknown(job_id)

    @event(weight=2, which=some)
    def poll_now(self, which: int) -> None:
        """A provider calls about a job, wherever that is, twice where the answer to the first call was lost."""
        for account, job_id in self.sent[which : which + 1] * 2:
            _, messages = self.ledger.polls.poll_now(account, job_id)
            self._send(messages)

    @event(weight=1, account=either_account, how=among("pause", "resume", "resume"))
    def steer(self, account: AccountName, how: str) -> None:
        """An account is paused, by bide or an operator, and resumed; twice where an answer was lost."""
        for _ in range(2):
            if how == "pause":
                self.ledger.accounts.pause(account, reason="no credit", by="bide")
            else:
                self.ledger.accounts.resume(account)

    @event(weight=3, which=some, how=among("late", "attach", "resubmit", "give up"), again=either)
    def settle(self, which: int, how: str, again: bool) -> None:
        """An operator settles an unconfirmed job, or the answer to its submit comes after all."""
        unconfirmed = [one for one in self.sent if self._is_open(*one)]
        account, job_id = (unconfirmed or self.sent)[which % len(unconfirmed or self.sent)]
        record = self.ledger.jobs.read(account, job_id)
        if not unconfirmed or record is None:
            self._settle_nothing(account, job_id, record)
        elif how == "late":
            self.late.add(job_id)
            attempt = int(record.number("submits"))
            self.bill.accept(job_id, attempt)
            self._send(self.ledger.submits.submitted(record, "", attempt=attempt, provider_job_id=f"found-{job_id}"))
        elif how == "resubmit" and record.text("cancel").startswith("canceled"):
            with pytest.raises(InvalidRequestError):
                self._settle(account, job_id, how)
        else:
            self._settle(account, job_id, how)
            if again:  # only the answer was lost
                self._settle(account, job_id, how)
            self.late |= {job_id} if how == "attach" else set()
            self.allowed[job_id] += how == "resubmit"

    def _is_open(self, account: AccountName, job_id: str) -> bool:
        record = self.ledger.jobs.read(account, job_id)
        return record is not None and (record.settling or record.fields["state"] == "unconfirmed")

    def _settle(self, account: AccountName, job_id: str, how: str) -> None:
        ledger = self.ledger
        if how == "attach":
            done, messages = ledger.unconfirmed.attach(account, job_id, f"found-{job_id}")
        elif how == "give up":
            done, messages = ledger.unconfirmed.give_up(account, job_id)
        else:
            record = ledger.jobs.read(account, job_id)
            if record and record.settling and record.text("token"):
                with pytest.raises(InvalidRequestError, match="at this moment"):
                    ledger.unconfirmed.resubmit(account, job_id)
                return
            done, messages = ledger.unconfirmed.resubmit(account, job_id)
        assert done
        self._send(messages)

    def _settle_nothing(self, account: AccountName, job_id: str, record: Record | None) -> None:
        """A job that is not unconfirmed is not settled; a job that was just settled in the same way says so."""
        fields = record.fields if record else {}
        state = fields.get("state")
        resubmitted = state == "queued" and "submitted again by an operator" in fields.get("note", "")
        attached = state == "running" and "attached" in fields and fields["pid"] == f"found-{job_id}"
        ledger = self.ledger
        assert ledger.unconfirmed.resubmit(account, job_id)[0] is resubmitted
        assert ledger.unconfirmed.attach(account, job_id, f"found-{job_id}")[0] is attached
        assert ledger.unconfirmed.give_up(account, job_id)[0] is (state == "failed" and "given_up" in fields)

    @abstractmethod
    def _send(self, messages: Messages) -> None:
        """Put messages into the post."""
