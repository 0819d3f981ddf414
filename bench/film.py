"""A large video through a worker: how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass

from bench import proc
from bench.contenders import Bide
from bench.servers import wait_until

#: How long it may take [seconds].
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Film:
    """What became of it."""

    film_bytes: int
    peak_bytes: int
    arrived: bool


def show(bide: Bide, film_bytes: int) -> Film:
    """Have one made by running processes; the worker's peak of resident memory meanwhile."""
    name = f"film-{film_bytes}"
    proc.forget_peak(bide.worker_pid)
    bide.submit_film(name, film_bytes)
    arrived = wait_until(lambda: bide.finished([name]) == 1, seconds=PATIENCE_SECONDS, every=0.25)
    return Film(film_bytes, proc.peak_bytes(bide.worker_pid), arrived)
