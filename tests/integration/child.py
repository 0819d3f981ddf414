"""A process that the tests start: whether it runs, and under which id."""

from __future__ import annotations

import subprocess


class Child:
    """A process that may be started, ended and started again."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last, 0 where there is none."""
        return self._process.pid if self._process else 0
