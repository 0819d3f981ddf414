"""A worker's heartbeat: a small file in which its consumer's loop says that it turns, and what it takes."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Heartbeat:
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
        path = heartbeat_folder() / f"{self.node}.json"
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "queues": tuple(fields["queues"])})


def heartbeats(kind: str) -> Iterator[Heartbeat]:
    """What the living workers of this machine say whose node name begins with `kind`; files of dead ones are removed.

    A worker that runs as another user says nothing here, and one of another version nothing that can be read.
    """
    for path in [path for folder in heartbeat_folders() for path in sorted(folder.glob(f"{kind}*.json"))]:
        with suppress(KeyError, TypeError, ValueError, FileNotFoundError):
            heartbeat = Heartbeat.read(path)
            if _alive(heartbeat.pid) and heartbeat.born == born(heartbeat.pid):
                yield heartbeat
                continue
        path.unlink(missing_ok=True)


def heartbeat_folder() -> Path:
    """The folder of this user's heartbeats, made where it is missing; raises `OSError` where it can't be.

    Its name is known, so that somebody else may have taken it: the folder then gets a name that nobody could guess.
    """
    usual = _usual_folder()
    with suppress(FileExistsError):
        usual.mkdir(mode=0o700)
    if _is_ours(usual):
        return usual
    return next(iter(heartbeat_folders()), None) or Path(tempfile.mkdtemp(prefix=f"{usual.name}-", dir=usual.parent))


def heartbeat_folders() -> list[Path]:
    """All folders with heartbeats of this user: two workers that start at once may have made one each."""
    usual = _usual_folder()
    return [each for each in (usual, *sorted(usual.parent.glob(f"{usual.name}-*"))) if _is_ours(each)]


def _usual_folder() -> Path:
    return Path(tempfile.gettempdir(), f"bide-{os.getuid()}")


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder, and no link to one, that belongs to this user, and where nobody else can write."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


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
