"""The summary of a run, counted from its results as they lie in object storage."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bide.bulk import results
from bide.bulk.names import summary_key
from bide.bulk.record import ENDS, Run
from bide.money.amounts import amount
from bide.percentiles import percentiles
from bide.storage import Storage

PERCENTILES = (50, 90, 95, 99)

#: The largest `summary.json` that is read [bytes].
MAX_SUMMARY_BYTES = 1024 * 1024


class Tally:
    """Counts lines of results; a tally takes 17 bytes for each row at most."""

    def __init__(self, rows: int) -> None:
        self._seen = bytearray(rows // 8 + 1)
        self.states, self.codes = Counter[str](), Counter[str]()
        self.repeated = self.polls = self.outputs = self.stored_bytes = 0
        self._seconds = array("d")

    def add(self, line: dict[str, Any]) -> None:
        """Count one line; a second line of the same row counts as repeated."""
        byte, bit = divmod(line["row"], 8)
        if self._seen[byte] >> bit & 1:
            self.repeated += 1
            return
        self._seen[byte] |= 1 << bit
        self.states[line["state"]] += 1
        if line["error"]:
            self.codes[line["error"]["code"]] += 1
        if "copy_of" not in line:
            self._add_job(line)

    def _add_job(self, line: dict[str, Any]) -> None:
        self.polls += line["polls"]
        self.outputs += len(line["outputs"])
        self.stored_bytes += sum(output["size"] for output in line["outputs"])
        if line["state"] == "succeeded" and line["submitted_at"] and line["finished_at"]:
            begun, ended = (datetime.fromisoformat(line[name]) for name in ("submitted_at", "finished_at"))
            self._seconds.append((ended - begun).total_seconds())

    def fields(self) -> dict[str, Any]:
        """The summary's fields about the rows."""
        return {
            **{end: self.states[end] for end in ENDS},
            "codes": dict(self.codes.most_common()),
            "polls": self.polls,
            "outputs": self.outputs,
            "stored_bytes": self.stored_bytes,
            "durations": self.durations(),
            "percentiles": self.percentiles(),
        }

    def durations(self) -> dict[str, float]:
        """Times from the submit to the stored result, of the jobs that succeeded [seconds]."""
        seconds = self._seconds
        if not seconds:
            return {}
        return {
            "mean_seconds": round(sum(seconds) / len(seconds), 3),
            "shortest_seconds": round(min(seconds), 3),
            "longest_seconds": round(max(seconds), 3),
        }

    def percentiles(self) -> dict[str, float]:
        """Percentiles of these times [seconds]."""
        found = percentiles(self._seconds, *PERCENTILES)
        return {f"p{each}": round(seconds, 3) for each, seconds in zip(PERCENTILES, found, strict=False)}


def summarize(storage: Storage, run: Run) -> dict[str, Any]:
    """Count a run's results; raises `StorageError`."""
    begun, ended = run.moment("created"), datetime.now(UTC)
    return {
        "run": run.run_id,
        "state": "canceled" if run.state == "canceling" else "finished",
        "rows": run.number("rows"),
        **_tally(storage, run.run_id, run.number("rows")).fields(),
        "repeated": run.number("copies"),
        "spent": amount(run.number("spent") + (run.number("reserved") if run.by_book else 0)),
        "budget": None if run.options.budget is None else amount(run.options.budget),
        "currency": run.text("budget_currency") or None,
        "jobs": run.number("jobs"),
        "parts": run.number("part") - 1,
        "source": run.text("source"),
        "replay_of": run.text("replay_of") or None,
        "sheet_metadata": list(run.options.sheet_metadata),
        "started_at": begun.isoformat() if begun else None,
        "finished_at": ended.isoformat(),
        "seconds": round((ended - begun).total_seconds(), 3) if begun else None,
    }


def write_summary(storage: Storage, run: Run) -> dict[str, Any]:
    """Write `summary.json` and return its content; doing it twice is harmless. Raises `StorageError`."""
    summary = summarize(storage, run)
    _write(storage, run.run_id, summary)
    return summary


def recount(storage: Storage, run_id: str, summary: dict[str, Any]) -> dict[str, int]:
    """Write the summary of changed results. Returns the number of rows by their end. Raises `StorageError`."""
    tally = _tally(storage, run_id, summary["rows"])
    _write(storage, run_id, {**summary, **tally.fields()})
    return {end: tally.states[end] for end in ENDS}


def _tally(storage: Storage, run_id: str, rows: int) -> Tally:
    tally = Tally(rows)
    for line in results.read(storage, run_id):
        tally.add(line)
    return tally


def _write(storage: Storage, run_id: str, summary: dict[str, Any]) -> None:
    content = json.dumps(summary, indent=2, ensure_ascii=False).encode()
    storage.put(summary_key(run_id), content, content_type="application/json")
