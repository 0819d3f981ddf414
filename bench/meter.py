"""What a contender uses while it is measured: CPU, time, and memory at its peak; and whether a server held it up."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from bench import proc
from bench.contenders import Contender
from bench.figures import Values

#: Between two reads of the memory [seconds]; each costs the bench a few milliseconds, the contender nothing.
_READ_SECONDS = 0.5


class Meter:
    """Measures from the beginning of its block to the end; `values` then has the figures."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._pids = contender.pids
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_memory, daemon=True)
        self._peak_bytes = 0
        self.values: Values = {}

    def __enter__(self) -> Self:
        self._thread.start()
        self._before, self._started = self._spent(), time.monotonic()
        self._busy_before, self._stolen_before = proc.busy_seconds(), proc.stolen_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall = time.monotonic() - self._started
        busy, stolen = proc.busy_seconds() - self._busy_before, proc.stolen_seconds() - self._stolen_before
        contender, redis, provider, store = (
            now - before for now, before in zip(self._spent(), self._before, strict=True)
        )
        self._stop.set()
        self._thread.join()
        self.values = {
            "cpu_seconds": contender,
            "redis_cpu_seconds": redis,
            "wall_seconds": wall,
            "peak_bytes": self._peak_bytes,
            "redis_share": redis / wall,
            "provider_share": provider / wall,
            "store_share": store / wall,
            "machine_share": busy / wall,
            "stolen_share": stolen / wall,
        }

    def _spent(self) -> tuple[float, ...]:
        world = self._contender.world
        servers = world.redis_process, world.provider_process, world.objects_process
        return proc.cpu_seconds(self._pids), *(proc.cpu_seconds([server.pid]) for server in servers)

    def _read_memory(self) -> None:
        while True:
            self._peak_bytes = max(self._peak_bytes, proc.proportional_bytes(self._pids))
            if self._stop.wait(_READ_SECONDS):
                return
