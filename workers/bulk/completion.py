"""The collector of bulk runs: it writes rows that ended into the results, part by part.

A part's rows are decided first, then written, then committed; their records go last.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from bide.bulk import objects
from bide.bulk.copies import CopiesOfRuns
from bide.bulk.names import job_id, results_key, results_prefix
from bide.bulk.record import LiveRow, Run
from bide.bulk.results import EndedRow
from bide.bulk.runs import Runs, reach
from bide.ledger import AccountName, Record
from bide.ledger.keys import prefix
from bide.ledger.packed import record_of
from bide.storage import Storage
from workers.bulk.inputs import Input
from workers.bulk.snapshot import RunSnapshot

#: Rows of one part; copies of them come on top.
PART_ROWS = 500

#: The longest a row waits for others to share its part [seconds]: a hundredth of the run's age, within these limits.
SOONEST_SECONDS, LATEST_SECONDS = 1.0, 60.0


class Collector:
    """Writes the results of runs."""

    def __init__(self, runs: Runs, storage: Storage, copies: CopiesOfRuns) -> None:
        self._runs, self._storage, self._copies = runs, storage, copies

    def collect(self, snapshot: RunSnapshot) -> bool:
        """Write a part of the results, if it is time for one. Returns whether there was one to write."""
        run = snapshot.run
        ready = list(snapshot.ready())
        if not (run.text("pending") or (ready and self._is_time(snapshot, len(ready)))):
            return False
        part, ends = self._runs.assign(run.run_id, ready[:PART_ROWS])
        rows = [live for live in self._runs.live(run.run_id) if live.row in ends]
        if not ends or len(rows) < len(ends):  # another feeder has written it meanwhile
            return True
        self._write(run, part, [(live, ends[live.row]) for live in rows])
        return True

    def end_with(self, run: Run) -> None:
        """Empty parts behind the last one: a ledger that went back since wrote them, and their rows lie in others."""
        written = {results_key(run.run_id, part) for part in range(1, run.number("part"))}
        for key in objects.keys(self._storage, results_prefix(run.run_id)):
            if key not in written:
                self._storage.put(key, b"", content_type="application/x-ndjson")

    def _is_time(self, snapshot: RunSnapshot, ready: int) -> bool:
        """Whether the part is full, or no live row is left to share it, or its rows have waited long enough."""
        run = snapshot.run
        if ready == len(snapshot.rows) or ready >= min(PART_ROWS, max(1, run.options.window // 2)):
            return True
        now, since = time.time(), float(run.fields.get("ready_since") or 0)
        if not since:
            self._runs.note(run.run_id, ready_since=now)
            return False
        age = now - float(run.fields["created"])
        return now - since >= max(SOONEST_SECONDS, min(age / 100, LATEST_SECONDS))

    def _write(self, run: Run, part: int, rows: list[tuple[LiveRow, str]]) -> None:
        copies = self._copies.of(run)
        ended = self._ended(run, rows)
        # Records are dropped once their part is committed: while it is still open, none of those just read was missing.
        known = self._runs.read(run.run_id)
        if known is None or known.number("part") != part:
            return
        lines, counts, spent = [], Counter[str](), 0
        for (live, _), each in zip(rows, ended, strict=True):
            written = each.lines(copies.of.get(live.row, []))
            lines += written
            counts[each.end] += len(written)
            spent += each.charged
        content = "".join(f"{line}\n" for line in lines).encode()
        self._storage.put(results_key(run.run_id, part), content, content_type="application/x-ndjson")
        self._runs.commit(run.run_id, part=part, spent=spent, counts=counts)
        self._forget(ended)

    def _ended(self, run: Run, rows: list[tuple[LiveRow, str]]) -> list[EndedRow]:
        """The rows with their records; a row without a record comes with its request from the input."""
        records = self._records(run.run_id, [live for live, _ in rows if live.kind == "o"])
        without = [live for live, _ in rows if live.row not in records]
        texts = Input(self._storage, run.run_id).texts(without)
        ended = []
        for live, end in rows:
            record = records.get(live.row)
            request = record.request_json.encode() if record else texts[live.row]
            ended.append(
                EndedRow(run.run_id, live.row, end, live.kind, request, record, live.account, live.price, run.by_book)
            )
        return ended

    def _records(self, run_id: str, rows: list[LiveRow]) -> dict[int, Record]:
        if not rows:
            return {}
        pipeline = self._runs.server.pipeline(transaction=False)
        for live in rows:
            at = prefix(live.account or AccountName("", ""))
            pipeline.hgetall(f"{at}job:{job_id(run_id, live.row)}")
            pipeline.hget(f"{at}body:{job_id(run_id, live.row)}", "request")
        found = iter(reach(pipeline.execute))
        records = {}
        for live, fields, request in zip(rows, found, found, strict=True):
            if fields and live.account:
                records[live.row] = record_of(job_id(run_id, live.row), live.account, fields, request)
        return records

    def _forget(self, ended: list[EndedRow]) -> None:
        by_account = defaultdict(list)
        for each in ended:
            if each.record and each.end != "unconfirmed":  # that one is on the operators' list
                by_account[each.record.account].append(each.record.job_id)
        for account, job_ids in by_account.items():
            self._runs.drop(account, job_ids)
