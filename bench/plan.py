"""Which turns there are, how often each is taken, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.contenders import Bide, Plain
from bench.sizes import ONE_POLLER, TWO_POLLERS, Sizes

#: How long a burst of the script takes about, one of the others, and a paced turn, servers included, on a machine like
#: that of docs/performance.md [seconds].
PLAIN_SECONDS, SECONDS, PACED_SECONDS = 50.0, 95.0, 110.0

#: Contenders whose kept-on-a-CPU twin is shown when it is asked for only.
EXTRA = ("pinned",)

#: Contenders and flights of which goals speak: of the others one paced turn, and one flight, is enough.
OF_GOALS = (Plain.name, Bide.name, ONE_POLLER, TWO_POLLERS)

#: Turns that count and do not time may be taken so many at once.
ALONGSIDE = 3


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

    def runs_in(self, run: int) -> bool:
        return run == 1 or not self.once


def plan(contenders: Sequence[str], sizes: Sizes) -> list[Turn]:
    """All turns of a run, what the goals need first."""
    return [
        *(Turn("burst", name, PLAIN_SECONDS if name == Plain.name else SECONDS) for name in contenders),
        *(_of_bide(sizes) if Bide.name in contenders else ()),
        *(Turn("paced", name, PACED_SECONDS, once=name not in OF_GOALS) for name in contenders if name not in EXTRA),
        *(Turn("kill", name, 100, once=True, counts=True) for name in contenders if name not in EXTRA),
    ]


def _of_bide(sizes: Sizes) -> Iterator[Turn]:
    yield Turn("start", Bide.name, 40)
    for variant, flight in sizes.flights:
        seconds = 2 * flight.seconds + flight.accepted / 1000 + 15
        yield Turn("in flight", variant, seconds, once=variant not in OF_GOALS)
    yield Turn("waiting", Bide.name, 40 + sizes.waiting_jobs / 1000, once=True)
    yield Turn("film", Bide.name, 40, once=True)


def expected_seconds(turns: Sequence[Turn], runs: int) -> float:
    """How long all of it takes."""
    alone = sum(turn.seconds for run in range(1, runs + 1) for turn in turns if turn.runs_in(run) and not turn.counts)
    counted = sum(turn.seconds for run in range(1, runs + 1) for turn in turns if turn.runs_in(run) and turn.counts)
    return alone + counted / ALONGSIDE
