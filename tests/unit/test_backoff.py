"""When to look next: never too soon, never too late, never in step."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.polling.backoff import (
    ESTIMATE_MAX_SECONDS,
    ESTIMATE_MIN_SECONDS,
    JITTER,
    RETRY_AFTER_MAX_SECONDS,
    PollPlan,
    retry_after_seconds,
)

PLAN = PollPlan(first_seconds=2.0, factor=2.0, cap_seconds=30.0)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

PLANS = st.builds(
    PollPlan,
    first_seconds=st.floats(0.01, 300),
    factor=st.floats(1, 1000),
    cap_seconds=st.floats(0.01, 3600),
)
SEEDS = st.integers(0, 2**32).map(random.Random)
ANY_SECONDS = st.none() | st.floats(allow_nan=True, allow_infinity=True)


def middle(low: float) -> tuple[float, float]:
    """The range that jitter leaves around a delay."""
    return low * (1 - JITTER) - 1e-9, low * (1 + JITTER) + 1e-9


class Flat(random.Random):
    """Chance without chance: always the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.mark.parametrize(("polls", "delay"), [(1, 4.0), (2, 8.0), (3, 16.0), (4, 30.0), (5, 30.0), (10_000, 30.0)])
def test_each_delay_is_a_factor_longer_up_to_the_cap(polls: int, delay: float) -> None:
    """After the first poll comes first x factor, and so on."""
    assert PLAN.after(polls, random_=Flat()) == pytest.approx(delay)


def test_a_poll_that_was_never_made_counts_as_the_first() -> None:
    """Zero and negative counts do not shorten the delay."""
    assert PLAN.after(0, random_=Flat()) == PLAN.after(-5, random_=Flat()) == PLAN.after(1, random_=Flat())


def test_jitter_stays_at_the_cap() -> None:
    """Jobs that all reached the cap do not march in step."""
    delays = {PLAN.after(50, random_=random.Random(seed)) for seed in range(20)}
    assert len(delays) == 20
    low, high = middle(PLAN.cap_seconds)
    assert all(low <= delay <= high for delay in delays)


def test_chance_is_drawn_without_being_asked_for() -> None:
    """Without a source of chance of its own a plan uses the module's."""
    assert len({PLAN.after(3) for _ in range(20)}) > 1
    assert len({PLAN.first() for _ in range(20)}) > 1


@given(plan=PLANS, polls=st.integers(-5, 10**6), source=SEEDS)
def test_no_delay_leaves_its_range(plan: PollPlan, polls: int, source: random.Random) -> None:
    """Any plan, any number of polls: above the shortest delay, under the cap, jitter aside."""
    shortest = min(plan.first_seconds, plan.cap_seconds)
    delay = plan.after(polls, random_=source)
    assert middle(shortest)[0] <= delay <= middle(plan.cap_seconds)[1]


@given(plan=PLANS, polls=st.integers(1, 200))
def test_delays_never_shrink(plan: PollPlan, polls: int) -> None:
    """Jitter aside, the next delay is at least as long."""
    assert plan.after(polls, random_=Flat()) <= plan.after(polls + 1, random_=Flat()) * (1 + 1e-12)


@given(plan=PLANS, polls=st.integers(1, 100), wish=ANY_SECONDS, source=SEEDS)
def test_retry_after_lengthens_within_reason(
    plan: PollPlan, polls: int, wish: float | None, source: random.Random
) -> None:
    """The other side's wish is obeyed up to a limit and never shortens a delay."""
    delay = plan.after(polls, retry_after_seconds=wish, random_=source)
    assert 0 < delay <= max(middle(plan.cap_seconds)[1], RETRY_AFTER_MAX_SECONDS)
    if wish is not None and wish > 0:
        assert delay >= min(wish, RETRY_AFTER_MAX_SECONDS)


@given(plan=PLANS, estimate=ANY_SECONDS, source=SEEDS)
def test_an_estimate_is_a_hint(plan: PollPlan, estimate: float | None, source: random.Random) -> None:
    """A sensible estimate, clamped, replaces the first delay; a senseless one does not."""
    delay = plan.first(estimate_seconds=estimate, random_=source)
    if estimate is None or not estimate > 0:
        low, high = middle(plan.first_seconds)
    else:
        low, high = middle(min(max(estimate, ESTIMATE_MIN_SECONDS), ESTIMATE_MAX_SECONDS))
    assert low <= delay <= high


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("5 minutes", None),
        ("nan", None),
    ],
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    """Seconds as they are; anything unreadable is no wish."""
    assert retry_after_seconds(value) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90.0), (0, 0.0), (-3600, 0.0)])
def test_retry_after_as_a_date(ahead: int, seconds: float) -> None:
    """A date is the time until then; one that has passed means at once."""
    moment = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert retry_after_seconds(moment, now=NOW) == seconds


def test_retry_after_as_a_date_without_a_zone() -> None:
    """A date without a zone (-0000) is UTC."""
    assert retry_after_seconds("Sun, 01 Mar 2026 12:01:00 -0000", now=NOW) == 60.0


def test_retry_after_as_a_date_uses_the_clock_of_today() -> None:
    """Without a given now, a date in the past means at once."""
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@given(
    value=st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d .{0,6}")
)
def test_retry_after_survives_any_header(value: str) -> None:
    """A header is the other side's text: whatever it holds, there is a wish of zero or more, or none."""
    seconds = retry_after_seconds(value)
    assert seconds is None or seconds >= 0
