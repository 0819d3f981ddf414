"""When to poll one job: at the times that were learned, and by the plan's plain backoff where nothing is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.durations import BINS_PER_OCTAVE, KNOWN_JOBS
from bide.polling.schedule import PollSchedule, poll_schedule

#: Gives the poll schedule for jobs with an estimate [seconds], or without one; None while nothing is known of them.
PollSchedules = Callable[[float | None], PollSchedule | None]


@dataclass(frozen=True)
class PollTiming:
    """The plan of one account and operation, with what its jobs have taught."""

    plan: PollPlan
    poll_schedules: PollSchedules = lambda _: None

    def first(self, *, estimate_seconds: float | None = None, random_: random.Random | None = None) -> float:
        """Delay before the first poll [seconds]."""
        learned = self.poll_schedules(estimate_seconds)
        if learned:
            return learned.first(random_)
        return self.plan.first(estimate_seconds=estimate_seconds, random_=random_)

    def after(
        self,
        polls: int,
        *,
        age_seconds: float | None,
        estimate_seconds: float | None = None,
        left_seconds: float | None = None,
        random_: random.Random | None = None,
    ) -> float:
        """Delay after the `polls`-th poll of a job that runs [seconds]; `age_seconds`: since it was accepted.

        `left_seconds` is the provider's estimate of the rest: it counts where nothing was learned, and has a job polled
        later than by the plan, never sooner.
        """
        learned = self.poll_schedules(estimate_seconds) if age_seconds is not None else None
        if learned and age_seconds is not None:
            return learned.after(age_seconds, random_)
        pause = self.plan.after(polls, random_=random_)
        return max(pause, self.plan.first(estimate_seconds=left_seconds, random_=random_)) if left_seconds else pause


def why(duration_model: DurationModel, plan: PollPlan, *, estimate_seconds: float | None = None) -> str:
    """In a sentence, why jobs are polled when they are."""
    found = duration_model.about(estimate_seconds)
    if found is None:
        weight = duration_model.durations.weight
        return (
            f"plain backoff, {plan.first_seconds:g} s to {plan.cap_seconds:g} s by the provider's plan: {KNOWN_JOBS:g} "
            f"jobs like it are to be known, {weight:.0f} are"
        )
    sketch, shift = found
    half, most = sketch.quantiles_seconds(0.5, 0.9)
    scale = 2 ** (shift / BINS_PER_OCTAVE)
    table = poll_schedule(sketch, plan, shift=shift)
    basis = (
        f"{sketch.jobs} jobs" if not shift and sketch is duration_model.durations else f"{sketch.jobs} honest estimates"
    )
    return (
        f"learned from {basis}: half take up to {half * scale:.3g} s, nine of ten up to {most * scale:.3g} s; "
        f"{table.polls:.1f} polls expected where plain backoff takes {table.plain_polls:.1f}"
    )
