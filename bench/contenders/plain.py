"""The limit: a script that keeps nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence

from bench.contenders.base import Contender, destroy
from bench.servers import World, read_line, spawn


class Plain(Contender):
    """A script of asyncio and aiohttp that keeps nothing and loses all when it ends: the limit of what is possible."""

    name = "plain"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._done: set[str] = set()

    @property
    def durable(self) -> bool:
        return False

    def start(self) -> None:
        command = ["setsid", sys.executable, "-m", "bench.plain"]
        process = spawn(command, {**self.world.environment, **self.notes})
        self.processes.append(process)
        read_line(process, "ready")
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()

    def kill(self) -> None:
        destroy(self.processes.pop())
        self.start()

    def submit(self, names: Sequence[str]) -> None:
        stdin = self.processes[0].stdin
        assert stdin is not None
        stdin.write(json.dumps(names) + "\n")
        stdin.flush()

    def finished(self, names: Sequence[str]) -> int:
        return len(self._done.intersection(names))

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._done.add(line.strip())
