"""A worker's heartbeat: a small file that the consumer's loop replaces every two seconds."""

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
    """The state of a worker at its last heartbeat; times are of `time.monotonic`, which all processes share."""

    node: str
    pid: int
    #: When the process was started: the system reuses ids of processes, and containers always have the same ones.
    born: str
    queues: tuple[str, ...]
    #: How many steps run, and how many may run at once.
    running: int
    threads: int
    #: When the loop last turned, when it last received a message, and since when a thread has been free.
    ticked_at: float
    taken_at: float
    free_since: float
    #: Why Redis refuses the worker's commands; '' where it does not.
    refused: str = ""
    #: Why the object store takes nothing, so that no job is submitted; '' where it does.
    store_refused: str = ""

    def write(self) -> None:
        """Replace this worker's file; a reader finds the old or the new one, and never half."""
        path = heartbeat_folder() / f"{self.node}.json"
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "queues": tuple(fields["queues"])})


def heartbeats(kind: str) -> Iterator[Heartbeat]:
    """Heartbeats of this machine's live workers whose node name begins with `kind`; files of dead ones are removed.

    Workers of another user are not found, and files of another version are not read.
    """
    for path in [path for folder in heartbeat_folders() for path in sorted(folder.glob(f"{kind}*.json"))]:
        with suppress(KeyError, TypeError, ValueError, FileNotFoundError):
            heartbeat = Heartbeat.read(path)
            if _alive(heartbeat.pid) and heartbeat.born == start_time(heartbeat.pid):
                yield heartbeat
                continue
        path.unlink(missing_ok=True)


def heartbeat_folder() -> Path:
    """The folder of this user's heartbeats, made where it is missing; raises `OSError` where it can't be.

    Another user may have made a folder of that name, which is known. Then this one gets a name that is random.
    """
    usual = _usual_folder()
    with suppress(FileExistsError):
        usual.mkdir(mode=0o700)
    if _is_ours(usual):
        return usual
    return next(iter(heartbeat_folders()), None) or Path(tempfile.mkdtemp(prefix=f"{usual.name}-", dir=usual.parent))


def heartbeat_folders() -> list[Path]:
    """All folders with heartbeats of this user: two workers that start at once may have made two."""
    usual = _usual_folder()
    return [each for each in (usual, *sorted(usual.parent.glob(f"{usual.name}-*"))) if _is_ours(each)]


def _usual_folder() -> Path:
    return Path(tempfile.gettempdir(), f"bide-{os.getuid()}")


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder of this user, no link, and without permission for others to write."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def start_time(pid: int) -> str:
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
