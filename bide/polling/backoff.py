"""When to poll next: pure functions, no clock, no sleep."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Share of a delay that jitter may take away or add, kept at the cap so that jobs never march in step.
JITTER = 0.1

#: The longest Retry-After that is obeyed [seconds].
RETRY_AFTER_MAX_SECONDS = 300.0

#: The least a provider's own estimate may put off the first poll, and the most [seconds].
ESTIMATE_MIN_SECONDS, ESTIMATE_MAX_SECONDS = 1.0, 60.0


#: More tries than this make a delay no longer: its number would not fit into a float.
MOST_DOUBLINGS = 64


@dataclass(frozen=True)
class Backoff:
    """Growing delays: first `first_seconds`, then `factor` times longer each time, up to `cap_seconds`."""

    first_seconds: float
    factor: float
    cap_seconds: float

    def delay(self, tries: int) -> float:
        """The delay after `tries` earlier tries [seconds], without jitter."""
        exponent = min(max(tries, 0), MOST_DOUBLINGS)
        return min(self.first_seconds * self.factor**exponent, self.cap_seconds)


@dataclass(frozen=True)
class PollPlan(Backoff):
    """How often to ask about one job, with jitter: jobs never march in step."""

    def first(self, *, estimate_seconds: float | None = None, random_: random.Random | None = None) -> float:
        """Delay before the first poll [seconds]; a provider's estimate, clamped, replaces the plan's own."""
        if estimate_seconds is None or not estimate_seconds > 0:
            return _jitter(self.first_seconds, random_)
        return _jitter(min(max(estimate_seconds, ESTIMATE_MIN_SECONDS), ESTIMATE_MAX_SECONDS), random_)

    def after(
        self, polls: int, *, retry_after_seconds: float | None = None, random_: random.Random | None = None
    ) -> float:
        """Delay after the `polls`-th poll [seconds], never shorter than a (clamped) Retry-After."""
        delay = _jitter(self.delay(max(polls, 1)), random_)
        if retry_after_seconds is None:
            return delay
        return max(delay, min(max(retry_after_seconds, 0.0), RETRY_AFTER_MAX_SECONDS))


def _jitter(delay: float, random_: random.Random | None) -> float:
    uniform = random_.uniform if random_ else random.uniform
    return delay * uniform(1 - JITTER, 1 + JITTER)


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """Read a Retry-After header, seconds or HTTP date; None where it is absent or unreadable."""
    if not value:
        return None
    try:
        return (
            max(float(value), 0.0) if value.strip()[:1].isdigit() else _seconds_until(parsedate_to_datetime(value), now)
        )
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds_until(moment: datetime, now: datetime | None) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - (now or datetime.now(UTC))).total_seconds(), 0.0)
