"""Processes for tests: each in a group of its own, its output in a file, gone when the tests are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.child import Child
from tests.integration.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]

_LINE = re.compile(r"^(\w+): (.+)$", re.MULTILINE)


def procfile() -> dict[str, str]:
    """The commands of the Procfile, by name."""
    return dict(_LINE.findall((ROOT / "Procfile").read_text()))


class Process(Child):
    """One command; `ready` is what it writes once it serves."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        ready: str,
        log: Path,
        root: Path = ROOT,
    ) -> None:
        self.name, self._root = name, root
        self._command, self._env, self._ready, self._log = list(command), dict(env), ready, log
        self._started_at = 0

    @classmethod
    def of_procfile(cls, name: str, *, env: Mapping[str, str], ready: str, folder: Path, more: str = "") -> Process:
        """One line of the Procfile, as any process manager runs it; `more` options at its end."""
        command = ["bash", "-c", f"exec {procfile()[name]} {more}"]
        return cls(name, command, env=env, ready=ready, log=folder / f"{name}.log")

    def start(self) -> re.Match[str]:
        """Start it from the root of the repository; wait for what it writes when it serves, and return that."""
        with self._log.open("ab") as out:
            self._started_at = out.tell()
            self._process = subprocess.Popen(
                self._command, env=self._env, cwd=self._root, stdout=out, stderr=out, start_new_session=True
            )
        return eventually(self._serving, what=f"{self.name} serves", within_seconds=2 * PATIENCE_SECONDS)

    @property
    def peak_bytes(self) -> int:
        """The most memory it has ever had, as the kernel counts."""
        [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return 1024 * int(kilobytes)

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has taken, in its own code and in the kernel."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def ask_to_end(self) -> None:
        """SIGTERM, and no waiting."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> int:
        """Its exit code; raises `subprocess.TimeoutExpired` when it goes on."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to all of its group; does nothing if it has ended."""
        if self._process is not None:
            if self.alive:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def output(self, *, since: int = 0) -> str:
        """What it wrote, from an offset of its log on."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    @property
    def written_bytes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _serving(self) -> re.Match[str] | None:
        if not self.alive:
            raise AssertionError(f"{self.name} ended at once:\n{self.output(since=self._started_at)}")
        return re.search(self._ready, self.output(since=self._started_at))


def children(pid: int) -> list[int]:
    """The processes that a process and its children have started."""
    own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*own, *(further for child in own for further in children(child))]


def plain_environment() -> dict[str, str]:
    """What a process needs of the tests' own environment: no setting of anybody's, and no proxy on the way."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
