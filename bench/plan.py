"""Which turns there are, how often each is taken, and how long that takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.contenders import Bide, Plain
from bench.contenders.libraries import Arq, Dramatiq, Huey, Taskiq
from bench.sizes import TWO_POLLERS, UNLEARNED, WITH_WORKER, Sizes

#: How long a burst and the paced jobs behind it take about, servers included: of the script, and of one of the others,
#: on a machine like that of docs/performance.md [seconds].
PLAIN_SECONDS, SECONDS = 56.0, 64.0

#: Contenders whose kept-on-a-CPU twin is shown when it is asked for only.
EXTRA = ("pinned",)

#: Flights that are taken when flights are asked for by name: no goal speaks of them.
EXTRA_FLIGHTS = (UNLEARNED, WITH_WORKER)

#: Contenders and flights that goals compare: of the others one turn is enough.
OF_GOALS = (Plain.name, Bide.name, Dramatiq.name, Arq.name, Taskiq.name, Huey.name, TWO_POLLERS)

#: Turns that count and do not time may be taken so many at once.
ALONGSIDE = 6

#: Jobs a second that the ledger's scripts put in flight, without workers.
SEEDED_PER_SECOND = 1300.0


@dataclass(frozen=True)
class Turn:
    """One scenario with one contender, or with one variant of what is bide's alone."""

    scenario: str
    contender: str
    seconds: float
    #: It is taken in the first run only: what it counts does not vary, or it takes too long.
    once: bool = False
    #: It counts and does not time, so that others may run meanwhile.
    counts: bool = False
    #: A second scenario with the same processes, once the first is over.
    then: str = ""

    @property
    def scenarios(self) -> tuple[str, ...]:
        """All that it measures, in order."""
        return (self.scenario, self.then) if self.then else (self.scenario,)

    def runs_in(self, run: int) -> bool:
        return run == 1 or not self.once


def plan(contenders: Sequence[str], sizes: Sizes, scenarios: Collection[str] = ()) -> list[Turn]:
    """All turns of a run, what the goals need first; `scenarios`: those that were asked for, none for all."""
    twins = [name for name in contenders if name not in EXTRA]
    turns = [
        *(
            Turn("burst", name, _seconds(name), once=name not in (*OF_GOALS, *EXTRA), then=_then(name))
            for name in contenders
        ),
        *(_of_bide(sizes, "in flight" in scenarios) if Bide.name in contenders else ()),
        *(Turn("kill", name, 100, once=True, counts=True) for name in twins),
        *(Turn("held", name, 45, once=True, counts=True) for name in twins if name != Plain.name),
    ]
    return [kept for turn in turns if (kept := _part(turn, scenarios))]


def _seconds(name: str) -> float:
    return PLAIN_SECONDS if name == Plain.name else SECONDS


def _then(name: str) -> str:
    return "" if name in EXTRA else "paced"


def _part(turn: Turn, scenarios: Collection[str]) -> Turn | None:
    """What of a turn was asked for."""
    wanted = [each for each in turn.scenarios if not scenarios or each in scenarios]
    return replace(turn, scenario=wanted[0], then="".join(wanted[1:])) if wanted else None


def _of_bide(sizes: Sizes, all_flights: bool) -> Iterator[Turn]:
    yield Turn("start", Bide.name, 30, once=True)
    for variant, flight in sizes.flights:
        if all_flights or variant not in EXTRA_FLIGHTS:
            seconds = 2 * flight.seconds + flight.accepted / SEEDED_PER_SECOND + 15
            yield Turn("in flight", variant, seconds, once=variant not in OF_GOALS)
    yield Turn("waiting", Bide.name, 40 + sizes.waiting_jobs / SEEDED_PER_SECOND, once=True)
    yield Turn("film", Bide.name, 40, once=True)


def expected_seconds(turns: Sequence[Turn], runs: int) -> float:
    """How long all of it takes."""
    alone = sum(turn.seconds for run in range(1, runs + 1) for turn in turns if turn.runs_in(run) and not turn.counts)
    counted = sum(turn.seconds for run in range(1, runs + 1) for turn in turns if turn.runs_in(run) and turn.counts)
    return alone + counted / ALONGSIDE
