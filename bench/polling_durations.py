"""How long jobs take, in the simulation of polling: synthetic distributions, the sandbox's, and recorded ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sandbox.jobs import latency_of

Array = npt.NDArray[np.float64]

#: Jobs of each distribution.
JOBS = 4000


@dataclass(frozen=True)
class Durations:
    """Jobs in the order of their submits; jobs of one regime are alike, an oracle knows which regime rules."""

    name: str
    seconds: Array
    regimes: npt.NDArray[np.int64]
    estimates: Array | None = None


def synthetic(seed: int) -> list[Durations]:
    """All distributions that are not recorded."""
    chance = np.random.default_rng(seed)

    def normal(median_seconds: float, sigma: float) -> Array:
        return np.asarray(median_seconds * np.exp(sigma * chance.standard_normal(JOBS)))

    either = chance.random(JOBS) < 0.7
    period = np.arange(JOBS) // 1000 % 2
    wide = np.asarray(5 * 16 ** chance.random(JOBS))
    return [
        _steady("fixed, 10 s", np.full(JOBS, 10.0)),
        _steady("uniform, 5 to 15 s", chance.uniform(5, 15, JOBS)),
        _steady("the sandbox, 10 s within 30 %", _sandbox(seed)),
        _steady("log-normal, 20 s, sigma 0.3", normal(20, 0.3)),
        _steady("log-normal, 20 s, sigma 0.5", normal(20, 0.5)),
        _steady("log-normal, 20 s, sigma 1", normal(20, 1.0)),
        _steady("bimodal, 70 % 6 s, 30 % 45 s", np.where(either, normal(6, 0.1), normal(45, 0.1))),
        Durations(
            "shifting every 1,000 jobs, 10 s and 30 s", np.where(period == 0, normal(10, 0.2), normal(30, 0.2)), period
        ),
        Durations(
            "5 to 80 s, estimates within 15 %", wide, np.zeros(JOBS, np.int64), wide * chance.uniform(0.85, 1.15, JOBS)
        ),
        Durations("5 to 80 s, estimates mean nothing", wide, np.zeros(JOBS, np.int64), chance.permutation(wide)),
    ]


def recorded(path: Path) -> Durations:
    """A file with the seconds that one job took in each line, in the order of their submits."""
    seconds = [float(line) for line in path.read_text().split()]
    return _steady(f"recorded: {path.name}", np.asarray(seconds))


def _steady(name: str, seconds: Array) -> Durations:
    return Durations(name, seconds, np.zeros(len(seconds), np.int64))


def _sandbox(seed: int) -> Array:
    digests = (hashlib.sha256(f"{seed}-{number}".encode()).hexdigest()[:32] for number in range(JOBS))
    return np.asarray([latency_of(digest, mean_seconds=10.0) for digest in digests])
