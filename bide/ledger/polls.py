"""The scripts of polling rounds: claim due jobs, record what their polls came to, poll one now."""

from __future__ import annotations

from collections.abc import Iterable

from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.poll_now import GAP_SECONDS, MOST_POLLS, PollNowOutcome
from bide.ledger.poll_records import Claim, Polled
from bide.ledger.records import AccountName, Messages
from bide.ledger.replies import claimed_of, messages_of, round_of


class PollScripts:
    """Claims and records polls; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def claim(self, account: AccountName, seq: int, *, batch: int) -> Claim:
        """Start the polling round `seq`: claim at most `batch` due jobs."""
        script = scripts.account.Claim(seq=seq, batch=batch)
        reply = self._executor.run(account, script)
        if not int(reply[0]):
            return Claim(current=False)
        return Claim(True, tuple(map(claimed_of, reply[1])), round_of(account, reply[2]), float(reply[3]))

    def reclaim(self, account: AccountName, job_ids: Iterable[str]) -> None:
        """Renew the claims on jobs whose answers are still awaited."""
        self._executor.run(account, scripts.account.Reclaim(ids=[*job_ids]))

    def record(self, account: AccountName, outcomes: Iterable[Polled]) -> Messages:
        """Record the outcomes of polls of claimed jobs; returns what to send."""
        script = scripts.account.Polled(outcomes=[_outcome(polled) for polled in outcomes])
        return messages_of(account, self._executor.run(account, script))

    def poll_now(self, account: AccountName, job_id: str) -> tuple[PollNowOutcome, Messages]:
        """Have this job polled now, if it is at the provider and calls have not had it polled too often."""
        script = scripts.job.PollNow(id=job_id, gap_seconds=GAP_SECONDS, most=MOST_POLLS)
        outcome, round_ = self._executor.run(account, script)
        return PollNowOutcome(outcome), Messages(round=round_of(account, round_))


def _outcome(polled: Polled) -> scripts.account.Outcome:
    key, value = polled.written
    return scripts.account.Outcome(
        id=polled.job_id,
        kind=polled.kind,
        seconds=polled.seconds,
        key=key,
        value=value,
        note=polled.note,
        seen=polled.seen,
        unknown_for=str(polled.unknown_for or ""),
        late_seconds=f"{polled.late_seconds:.1f}",
        word=polled.word,
        cost=polled.cost,
    )
