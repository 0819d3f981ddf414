"""`python -m bench.polling`: what polling that learns saves, simulated over distributions of durations.

Each distribution is also polled as the providers' documents do it, by plain backoff, by the best fixed or exponential
schedule that is tuned with all durations known beforehand, and by the offline optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from bench.polling_durations import Durations, recorded, synthetic
from bench.polling_learned import Learned
from bench.polling_plots import through_time, trade_offs
from bench.polling_schedules import Cost, Tuned, all_tuned, best_of, cost_of, least_polls, optimum
from bench.table import written
from bide.polling.backoff import PollPlan

DOCS = Path(__file__).parent.parent / "docs"

#: The plans that bound what is learned: the providers' own cap, and one that hardly binds.
PLANS = (PollPlan(2.0, 2.0, 30.0), PollPlan(2.0, 2.0, 60.0))

#: Plans of the plots: from hasty to patient.
PLOTTED = (
    PollPlan(1.0, 1.5, 10.0),
    PollPlan(1.0, 2.0, 30.0),
    *PLANS,
    PollPlan(4.0, 2.0, 60.0),
    PollPlan(8.0, 2.0, 60.0),
)

#: The seeds of the runs whose means are shown.
SEEDS = (1, 2, 3)

HEADINGS = (
    "durations",
    "fixed 2 s",
    "fixed 5 s",
    "plain backoff",
    "learned",
    "best tuned, no slower",
    "polls saved against it",
    "optimum, no slower",
    "savings possible",
)


@dataclass(frozen=True)
class Case:
    """One distribution with all that is compared."""

    durations: Durations

    @cached_property
    def tuned(self) -> list[Tuned]:
        return all_tuned(self.durations.seconds)

    @cached_property
    def hull(self) -> list[Cost]:
        return optimum(self.durations)

    def learned(self, plan: PollPlan) -> Cost:
        """The mean of several runs."""
        costs = [Learned(self.durations, plan, seed=seed).cost() for seed in SEEDS]
        return Cost(sum(one.polls for one in costs) / len(costs), sum(one.delay_seconds for one in costs) / len(costs))

    def saved(self, plan: PollPlan) -> float:
        """The share of polls that is saved against the best tuned schedule that is no slower."""
        learned = self.learned(plan)
        return 1 - learned.polls / best_of(self.tuned, learned.delay_seconds).cost.polls

    def row(self, plan: PollPlan) -> list[str]:
        """A line of the table."""
        seconds = self.durations.seconds
        plain = cost_of(seconds, first_seconds=plan.first_seconds, factor=plan.factor, cap_seconds=plan.cap_seconds)
        learned = self.learned(plan)
        best = best_of(self.tuned, learned.delay_seconds)
        bound = least_polls(self.hull, learned.delay_seconds) if self.durations.estimates is None else None
        return [
            self.durations.name,
            *(_shown(cost_of(seconds, first_seconds=every)) for every in (2.0, 5.0)),
            _shown(plain),
            f"**{_shown(learned)}**",
            f"{best.cost.polls:.2f} ({best})",
            f"**{1 - learned.polls / best.cost.polls:.0%}**",
            f"{bound:.2f}" if bound else "-",
            f"{1 - bound / best.cost.polls:.0%}" if bound else "-",
        ]


def _shown(cost: Cost) -> str:
    return f"{cost.polls:.2f} / {cost.delay_seconds:.1f} s"


def table(cases: list[Case], plan: PollPlan) -> str:
    """A Markdown table for one plan."""
    lines = [HEADINGS, tuple("---" if not number else "---:" for number in range(len(HEADINGS)))]
    lines += [tuple(case.row(plan)) for case in cases]
    head = f"First poll after {plan.first_seconds:g} s, factor {plan.factor:g}, cap {plan.cap_seconds:g} s:\n\n"
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def by_plan(cases: list[Case]) -> str:
    """Polls saved against the best tuned schedule that is no slower, for the plans of the plots that have no table."""
    plans = [plan for plan in PLOTTED if plan not in PLANS]
    lines = [("durations", *(f"{plan.first_seconds:g} s, {plan.factor:g}, {plan.cap_seconds:g} s" for plan in plans))]
    lines.append(("---", *("---:" for _ in plans)))
    lines += [(case.durations.name, *(f"{case.saved(plan):.0%}" for plan in plans)) for case in cases]
    head = "Polls saved against the best tuned schedule, with other plans (first poll, factor, cap):\n\n"
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(cases: list[Case], folder: Path) -> None:
    """Both plots."""
    folder.mkdir(exist_ok=True)
    plotted = [case for case in cases if case.durations.estimates is None]
    panels = [
        (case.durations.name, case.tuned, case.hull, [Learned(case.durations, plan).cost() for plan in PLOTTED])
        for case in plotted
    ]
    trade_offs(folder / "trade-offs.svg", panels)
    shifting = next(case.durations for case in cases if case.durations.name.startswith("shifting"))
    run = Learned(shifting, PLANS[0])
    through_time(folder / "shifting.svg", run.costs, run.shifts, name=shifting.name)


@click.command()
@click.option("--write", is_flag=True, help="Write the tables into docs/polling.md, and its plots.")
@click.option("--recorded", "files", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--only", default="", help="Only distributions whose name holds this.")
def main(write: bool, files: tuple[Path, ...], only: str) -> None:
    """Simulate polling; a file of recorded durations holds the seconds of a job in each line."""
    all_durations = [*synthetic(seed=1), *map(recorded, files)]
    cases = [Case(each) for each in all_durations if only in each.name]
    text = "\n".join([*(table(cases, plan) for plan in PLANS), by_plan(cases)])
    click.echo(text)
    if write:
        page = DOCS / "polling.md"
        page.write_text(written(page.read_text(), text.rstrip()))
        draw(cases, DOCS / "polling")


if __name__ == "__main__":
    main()
