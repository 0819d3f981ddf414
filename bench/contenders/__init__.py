"""The contenders, each started, fed, asked and killed in the same words."""

from __future__ import annotations

from bench.contenders.base import Contender, Dues, read_dues
from bench.contenders.bide import Bide, PinnedBide
from bench.contenders.celery import CeleryContender
from bench.contenders.celery_peers import Blocking, Countdown, Naive
from bench.contenders.libraries import Arq, Dramatiq, Huey, Taskiq
from bench.contenders.plain import Plain

#: In the order of the table's columns.
_ALL: tuple[type[Contender], ...] = (
    Plain, Bide, PinnedBide, Naive, Countdown, Blocking, Dramatiq, Arq, Taskiq, Huey,
)  # fmt: skip

CONTENDERS: dict[str, type[Contender]] = {one.name: one for one in _ALL}

__all__ = [
    "CONTENDERS",
    "Bide",
    "CeleryContender",
    "Contender",
    "Dues",
    "Naive",
    "PinnedBide",
    "Plain",
    "read_dues",
]
