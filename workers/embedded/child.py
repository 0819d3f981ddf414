"""One child process: its own session, its own log, and no life after its parent's."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: `prctl` option of Linux: the signal that comes when the parent dies.
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """A running child; its output begins in `log` after `log_start` bytes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    #: By the monotonic clock [seconds].
    started_at: float

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        """All that this child has written."""
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def last_words(self, lines: int = 12) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def how_it_ended(self) -> str:
        """What became of it, once it is not alive."""
        code = self.process.returncode
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def ask_to_end(self) -> None:
        """Let it finish in good order; idempotent."""
        if self.alive:
            self.process.terminate()

    def kill(self) -> None:
        """End it and its own children at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def spawn(name: str, command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> Child:
    """Start `command` in `folder`, its output appended to `log`; raises `OSError` where it can't be started."""
    parent = os.getpid()
    with log.open("ab") as out:
        start = out.tell()
        process = subprocess.Popen(  # noqa: S603 - the commands are ours and the Procfile's
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - one system call of libc, which takes no lock
        )
    return Child(name, process, log, start, time.monotonic())


def _die_with(parent: int) -> None:
    """Have the system kill this process when its parent is gone, however it went."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the system knew
            os.kill(os.getpid(), signal.SIGKILL)
