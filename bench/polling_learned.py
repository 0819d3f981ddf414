"""bide's own polling, simulated: jobs in waves, each polled by what the ones before have taught."""

from __future__ import annotations

import random

from bench.polling_durations import Durations
from bench.polling_schedules import Cost
from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.schedule import PollSchedule, poll_schedule
from bide.polling.timing import PollTiming

#: Jobs that are under way at once: none of them knows of the others.
WAVE = 16


class Learned:
    """Runs all jobs of a distribution; `costs` is what each of them took."""

    def __init__(self, durations: Durations, plan: PollPlan, *, seed: int = 0) -> None:
        self.plan, self._chance = plan, random.Random(seed)
        self.duration_model = DurationModel()
        #: Jobs after which what was known had been given up.
        self.shifts: list[int] = []
        self.costs: list[Cost] = []
        estimates = durations.estimates
        for start in range(0, len(durations.seconds), WAVE):
            ended = []
            poll_timing = self._poll_timing()
            for number in range(start, min(start + WAVE, len(durations.seconds))):
                estimate = None if estimates is None else float(estimates[number])
                after, by = self._poll(float(durations.seconds[number]), estimate, poll_timing)
                ended.append((by, after, estimate))
            self._learn(sorted(ended, key=lambda each: each[0]))

    def cost(self, since: int = 0) -> Cost:
        """Means over the jobs from a number on."""
        costs = self.costs[since:]
        return Cost(sum(one.polls for one in costs) / len(costs), sum(one.delay_seconds for one in costs) / len(costs))

    def _poll_timing(self) -> PollTiming:
        made: dict[tuple[int, int], PollSchedule] = {}

        def poll_schedules(estimate_seconds: float | None) -> PollSchedule | None:
            found = self.duration_model.about(estimate_seconds)
            if found is None:
                return None
            sketch, shift = found
            key = id(sketch), shift
            return made.get(key) or made.setdefault(key, poll_schedule(sketch, self.plan, shift=shift))

        return PollTiming(self.plan, poll_schedules)

    def _poll(self, duration: float, estimate: float | None, poll_timing: PollTiming) -> tuple[float, float]:
        """Poll one job to its end: the ages at which it was last seen running and found done."""
        before, polls = 0.0, 1
        age = poll_timing.first(estimate_seconds=estimate, random_=self._chance)
        while age < duration:
            before = age
            age += poll_timing.after(polls, age_seconds=age, estimate_seconds=estimate, random_=self._chance)
            polls += 1
        self.costs.append(Cost(polls, age - duration))
        return before, age

    def _learn(self, ended: list[tuple[float, float, float | None]]) -> None:
        for by, after, estimate in ended:
            known = self.duration_model.durations.known
            self.duration_model = self.duration_model.observed(after, by, estimate_seconds=estimate)
            if known and not self.duration_model.durations.known:
                self.shifts.append(len(self.costs))
