"""One run: stage, contender, jobs, plan, verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.chaos.answers import Answers
from tests.faults.chaos.budget_watch import BudgetWatch
from tests.faults.chaos.budgets import BudgetFile
from tests.faults.chaos.contenders import CONTENDERS, Bide, Contender
from tests.faults.chaos.driver import Driver
from tests.faults.chaos.hosts import Host, hosts
from tests.faults.chaos.jobs import Job, jobs_of
from tests.faults.chaos.plan import GAP_SECONDS, KINDS, OF_MONEY, USUAL, Event, draw
from tests.faults.chaos.recovery import Recovery
from tests.faults.chaos.routes import jobs_for_tenants
from tests.faults.chaos.stage import Stage
from tests.faults.chaos.submitter import Submitter
from tests.faults.chaos.verdict import Verdict, judge

#: How long no caller may get an answer before the rest counts as lost [seconds].
PATIENCE_SECONDS = 100.0


@dataclass(frozen=True)
class Options:
    """What a run is to be."""

    seed: int
    jobs: int
    seconds: float
    contender: str = "bide"
    #: Only what plain Celery meets in any deployment, too; or only these kinds.
    common_only: bool = False
    kinds: tuple[str, ...] = ()
    #: Mean time from one event to the next.
    gap_seconds: float = GAP_SECONDS
    fsync: str = "always"
    #: Hosts of their own for the processes; 0: all on this one.
    hosts: int = 0
    #: Jobs over providers of all idempotency contracts, and such as lie about theirs; else over four that have none.
    contracts: bool = False
    keep: Path | None = None


@dataclass
class Run:
    """What a run was and came to."""

    options: Options
    plan: list[Event]
    verdict: Verdict
    notes: list[str] = field(default_factory=list)


def run(options: Options, *, say: Callable[[str], None] = lambda _: None) -> Run:
    """Let it happen; takes the time of the plan, and as long as the last job takes."""
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bide-chaos-")))
        address, apart = stack.enter_context(hosts(options.hosts)) if options.hosts else ("", [])
        jobs = _jobs_of(options)
        budgets = BudgetFile(folder / "budgets.toml", jobs) if options.contracts else None
        stage = stack.enter_context(Stage(folder, seed=options.seed, fsync=options.fsync, budgets=budgets))
        contender = CONTENDERS[options.contender](stage)
        stack.callback(contender.close)
        contender.start(stage.open_for(address) if address else stage.here, apart)
        return _happen(options, contender, jobs, apart, stack, say)


def _jobs_of(options: Options) -> list[Job]:
    return (jobs_for_tenants if options.contracts else jobs_of)(options.seed, options.jobs)


def plan_of(options: Options, processes: tuple[str, ...], apart: list[Host]) -> list[Event]:
    """The plan that the options' seed draws."""
    usual = [name for name in USUAL if KINDS[name].common or not options.common_only]
    kinds = options.kinds or [*usual, *(OF_MONEY if options.contracts else ())]
    return draw(
        options.seed,
        seconds=options.seconds,
        processes=processes,
        hosts=[host.name for host in apart],
        kinds=kinds,
        gap_seconds=options.gap_seconds,
    )


def _happen(
    options: Options,
    contender: Contender,
    jobs: list[Job],
    apart: list[Host],
    stack: ExitStack,
    say: Callable[[str], None],
) -> Run:
    plan = plan_of(options, contender.processes, apart)
    answers, recovery = Answers(contender, [job.name for job in jobs]), Recovery(contender.stage)
    stack.callback(answers.stop)
    stack.callback(recovery.stop)
    watch = _watch(contender, stack)
    driver = Driver(contender, plan, apart, recovery)
    say(f"{contender.name}: {len(jobs)} jobs, {len(plan)} events in {options.seconds:g} s, seed {options.seed}")
    submitter = Submitter(contender, jobs, seconds=options.seconds)
    driver.run()
    submitter.wait()
    say(f"{contender.name}: all has happened, {len(answers.by_name)} callers have an answer so far")
    answers.wait(patience_seconds=PATIENCE_SECONDS)
    return Run(options, plan, judge(contender, jobs, submitter, answers, recovery, watch), driver.notes)


def _watch(contender: Contender, stack: ExitStack) -> BudgetWatch | None:
    """Looks at the budgets, where there are some and bide keeps them."""
    if contender.stage.budgets is None or not isinstance(contender, Bide):
        return None
    watch = BudgetWatch(contender.stage, contender.stage.budgets)
    stack.callback(watch.stop)
    return watch
