"""A provider's own call has a job polled now instead of later, and changes nothing else.

Calls can be forged, doubled and lost. So a call is never believed, only taken as a reason to poll. And calls bring few
polls about: `MOST_POLLS` for a job in all its life, `GAP_SECONDS` apart.
"""

from __future__ import annotations

from enum import StrEnum

from bide.ledger import scripts
from bide.ledger.records import AccountName, Messages
from bide.ledger.replies import round_of
from bide.ledger.scripted import Scripted

#: The least time between two polls of one job that calls bring about [seconds].
GAP_SECONDS = 5.0

#: How many polls calls bring about for one job.
MOST_POLLS = 5


class PollNowOutcome(StrEnum):
    """What came of a call."""

    POLLED_NOW = "hastened"  # the job is polled now
    NOTED = "noted"  # a poll is under way, another one follows it
    REPEATED = "repeated"  # a call has had its poll just now, or the job has had them all
    NOTHING = "nothing"  # no such job, not at the provider, or there is a reason not to poll sooner


class ProviderCalls(Scripted):
    """Takes calls; each method raises `LedgerAwayError` when Redis stays away."""

    def poll_now(self, account: AccountName, job_id: str) -> tuple[PollNowOutcome, Messages]:
        """Poll this job now, if it is at the provider and calls have not had it polled too often."""
        script = scripts.job.PollNow(id=job_id, gap_seconds=GAP_SECONDS, most=MOST_POLLS)
        outcome, round_ = self._run(account, script)
        return PollNowOutcome(outcome), Messages(round=round_of(account, round_))
