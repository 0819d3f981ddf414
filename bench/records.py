"""What was measured, as lines of JSON: each turn is kept the moment it ends, so that a run cut short is not lost."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench import proc
from bench.figures import Values
from bench.servers import ROOT

FILE = ROOT / "build" / "bench" / "records.jsonl"

#: Libraries whose versions are kept with each record; peers' where they are installed (arq is somewhere else).
LIBRARIES = ("celery", "kombu", "redis", "aiohttp", "httpx", "boto3", "uvloop")
PEERS = ("dramatiq", "taskiq", "huey")

#: A turn of which the machine's host kept more than this for others is disturbed [of a core].
DISTURBED = 0.1


@dataclass(frozen=True)
class Record:
    """One turn: a scenario, a contender, and which run it was."""

    scenario: str
    contender: str
    run: int
    size: str
    values: Values
    at: str = ""
    machine: str = ""
    versions: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.scenario, self.contender, self.run

    @property
    def stolen(self) -> float:
        """What the machine's host kept meanwhile [of a core]; 0 where that was not measured."""
        return self.values.get("stolen_share") or 0.0

    @property
    def disturbed(self) -> bool:
        return self.stolen > DISTURBED


def made(scenario: str, contender: str, run: int, size: str, values: Values) -> Record:
    """A record of this moment, on this machine."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return Record(scenario, contender, run, size, values, today, proc.machine(), _versions())


def _versions() -> str:
    there = [name for name in (*LIBRARIES, *PEERS) if name in LIBRARIES or find_spec(name)]
    return ", ".join((f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in there)))


def keep(record: Record, file: Path) -> None:
    """Append a record."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(asdict(record)) + "\n")


def read(file: Path) -> list[Record]:
    """One record of each turn: the least disturbed, the later of equals. A line that was cut short is left out."""
    found: dict[tuple[str, str, int], Record] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):
            continue
        if record.key not in found or record.stolen <= found[record.key].stolen:
            found[record.key] = record
    return list(found.values())


def put_aside(file: Path) -> None:
    """A new run does not mix with the last one, whose records stay beside it."""
    if file.exists():
        file.rename(file.with_suffix(".last.jsonl"))


@dataclass(frozen=True)
class Summary:
    """One contender in one scenario, over all runs."""

    contender: str
    runs: Sequence[Values]

    def median(self, name: str) -> float | None:
        """The middle of what was measured."""
        found = self._all(name)
        return median(found) if found else None

    def span(self, name: str) -> tuple[float, float] | None:
        """The least and the most, where there was more than one run."""
        found = self._all(name)
        return (min(found), max(found)) if len(found) > 1 else None

    def _all(self, name: str) -> list[float]:
        return [value for run in self.runs if (value := run.get(name)) is not None]


def summaries(records: Iterable[Record], scenario: str) -> dict[str, Summary]:
    """What there is of a scenario, by contender, in the order of the records."""
    runs: dict[str, list[Values]] = {}
    for record in records:
        if record.scenario == scenario:
            runs.setdefault(record.contender, []).append(record.values)
    return {contender: Summary(contender, found) for contender, found in runs.items()}
