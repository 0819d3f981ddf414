"""A worker's pulse: a small file in which its consumer's loop says that it turns, and what it takes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Pulse:
    """What a worker last said of itself; moments are of the clock of `time.monotonic`, which all processes share."""

    node: str
    pid: int
    #: When the process was started: ids of processes are given out again, in containers always the same ones.
    born: str
    queues: tuple[str, ...]
    #: Steps that run, and how many may run at once.
    running: int
    threads: int
    #: When the loop last turned, when it last took a message, and since when it has had a thread free for one.
    ticked_at: float
    taken_at: float
    free_since: float
    #: Why Redis refuses to do what the worker asks; '' where it does not.
    refused: str = ""

    def write(self) -> None:
        """Replace this worker's file; whoever reads finds the old or the new one, and never half."""
        path = pulse_folder() / f"{self.node}.json"
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "queues": tuple(fields["queues"])})


def pulses(kind: str) -> Iterator[Pulse]:
    """What the living workers of this machine say whose node name begins with `kind`; files of dead ones are removed.

    A worker that runs as another user says nothing here, and one of another version nothing that can be read.
    """
    for path in sorted(pulse_folder().glob(f"{kind}*.json")):
        with suppress(KeyError, TypeError, ValueError, FileNotFoundError):
            pulse = Pulse.read(path)
            if _alive(pulse.pid) and pulse.born == born(pulse.pid):
                yield pulse
                continue
        path.unlink(missing_ok=True)


def pulse_folder() -> Path:
    """The folder of this user's pulses; raises `OSError` where somebody else has taken its place."""
    folder = Path(tempfile.gettempdir(), f"bide-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to another folder")
    return folder


def born(pid: int) -> str:
    """When a process was started, in the kernel's count; '' where it is gone, or the system has no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        return True
    return False
