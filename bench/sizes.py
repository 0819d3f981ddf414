"""How large the scenarios are: for the page, for a quick run, and for a try of the machinery."""

from __future__ import annotations

from dataclasses import dataclass

#: How far latencies lie from their mean at most, in the sandbox.
LATENCY_SPREAD = 0.3

#: Size of a result [bytes].
RESULT_BYTES = 100_000

#: The flights: what polls them, and what runs beside.
FEW, ONE_POLLER, TWO_POLLERS = "few, one poller", "one poller", "two pollers"
UNLEARNED = "few, backoff alone"
WITH_WORKER = "one poller, one worker"


@dataclass(frozen=True)
class Flight:
    """So many jobs at the provider at once, their mean latency, and the longest pause between two polls of one.

    They are accepted at an even pace for as long as the longest of them takes: then as many end as begin.
    """

    jobs: int
    latency_seconds: float
    cap_seconds: float
    pollers: int = 1
    worker: bool = False
    #: Whether polls go by what was learned (`POLL_LEARN`).
    learns: bool = True

    @property
    def seconds(self) -> float:
        """How long jobs are accepted, which is also how long the last of them may take."""
        return (1 + LATENCY_SPREAD) * self.latency_seconds

    @property
    def accepted(self) -> int:
        """How many jobs that takes."""
        return round(self.jobs * self.seconds / self.latency_seconds)


@dataclass(frozen=True)
class Sizes:
    """Of all scenarios. Times are seconds."""

    burst_jobs: int = 1000
    warm_jobs: int = 100
    held_jobs: int = 100
    held_latency_seconds: float = 10.0
    latency_seconds: float = 5.0
    kill_jobs: int = 300
    kill_latency_seconds: float = 5.0
    #: How long nothing may happen until what is missing counts as lost, and how long is waited at most.
    quiet_seconds: float = 65.0
    kill_patience_seconds: float = 150.0
    paced_per_second: float = 30.0
    paced_seconds: float = 15.0
    flights: tuple[tuple[str, Flight], ...] = (
        (FEW, Flight(1_000, 10.0, 5.0)),
        (UNLEARNED, Flight(1_000, 10.0, 5.0, learns=False)),
        (ONE_POLLER, Flight(20_000, 60.0, 30.0)),
        (TWO_POLLERS, Flight(50_000, 60.0, 60.0, pollers=2)),
        (WITH_WORKER, Flight(20_000, 60.0, 30.0, worker=True)),
    )
    waiting_jobs: int = 100_000
    start_jobs: int = 200
    film_bytes: int = 1_000_000_000


SIZES = {
    "full": Sizes(),
    "quick": Sizes(burst_jobs=300, warm_jobs=20, latency_seconds=3.0),
    "tiny": Sizes(
        burst_jobs=30,
        warm_jobs=10,
        held_jobs=10,
        held_latency_seconds=3.0,
        latency_seconds=3.0,
        kill_jobs=30,
        kill_latency_seconds=3.0,
        paced_seconds=3.0,
        flights=(
            (ONE_POLLER, Flight(200, 6.0, 3.0)),
            (UNLEARNED, Flight(200, 6.0, 3.0, learns=False)),
            (TWO_POLLERS, Flight(300, 6.0, 3.0, pollers=2)),
            (WITH_WORKER, Flight(100, 6.0, 3.0, worker=True)),
        ),
        waiting_jobs=1000,
        start_jobs=10,
        film_bytes=2_000_000,
    ),
}
