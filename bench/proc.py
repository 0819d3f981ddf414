"""What processes cost, read from /proc: CPU time and resident memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes and all that descend from them, ended children included [seconds]."""
    return sum(ticks(Path(f"/proc/{pid}/stat").read_text()) for pid in _family(pids)) / _TICKS_PER_SECOND


def busy_seconds() -> float:
    """What all CPUs of the machine did since it began, by whomever; what its host kept for others counts [seconds]."""
    user, nice, system, _idle, _waiting, *others = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    return sum(map(int, (user, nice, system, *others))) / _TICKS_PER_SECOND


def stolen_seconds() -> float:
    """What the host of a virtual machine kept of its CPUs since it began, while there was work for them [seconds]."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / _TICKS_PER_SECOND


def ticks(stat: str) -> int:
    """utime, stime, cutime and cstime of a line of /proc/PID/stat; the name in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory of processes and all that descend from them (VmRSS) [bytes]."""
    return sum(_status_bytes(pid, "VmRSS") for pid in _family(pids))


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of living processes and their descendants, where shared pages count once (Pss) [bytes]."""
    return sum(_shared_out(pid) for pid in _family(pids))


def peak_bytes(pid: int) -> int:
    """The most memory a process held since `forget_peak` [bytes]."""
    return _status_bytes(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak start anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def machine() -> str:
    """CPU, cores and memory of this machine."""
    model = _field(Path("/proc/cpuinfo").read_text(), "model name") or "unknown CPU"
    memory_kb = int((_field(Path("/proc/meminfo").read_text(), "MemTotal") or "0 kB").split()[0])
    return f"{os.cpu_count()} cores of {model}, {memory_kb / 2**20:.0f} GiB"


def _shared_out(pid: int) -> int:
    try:
        return int((_field(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss") or "0 kB").split()[0]) * 1024
    except OSError:
        return 0


def _status_bytes(pid: int, name: str) -> int:
    return int((_field(Path(f"/proc/{pid}/status").read_text(), name) or "0 kB").split()[0]) * 1024


def _field(text: str, name: str) -> str | None:
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), None)


def _family(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        yield from _family(_children(pid))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
