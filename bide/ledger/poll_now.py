"""A provider's own call has a job polled now instead of later, and changes nothing else.

Calls can be forged, doubled and lost. So a call is never believed, only taken as a reason to poll. And calls bring few
polls about: `MOST_POLLS` for a job in all its life, `GAP_SECONDS` apart.
"""

from __future__ import annotations

from enum import StrEnum

#: The least time between two polls of one job that calls bring about [seconds].
GAP_SECONDS = 5.0

#: How many polls calls bring about for one job.
MOST_POLLS = 5


class PollNowOutcome(StrEnum):
    """The outcome of a call."""

    POLLED_NOW = "hastened"  # the job is polled now
    NOTED = "noted"  # a poll is under way, another one follows it
    REPEATED = "repeated"  # a call has had its poll just now, or the job has had them all
    NOTHING = "nothing"  # no such job, not at the provider, or there is a reason not to poll sooner
