"""All runs: their records and clocks in Redis. Each change is one script (`scripts/*.lua`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import redis

from bide.bulk import scripts
from bide.bulk.budget import RunBudget
from bide.bulk.lease import keep_lease
from bide.bulk.names import ENDED_KEY, RUNS_KEY, check_run_id, run_prefix
from bide.bulk.record import RUN_VERSION, LiveRow, Options, Run
from bide.bulk.scripts import BoughtRow, OpenedRow
from bide.errors import IdempotencyConflictError, LedgerAwayError
from bide.ledger import AccountName
from bide.ledger.identity import read_state
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.safety import ANNOUNCED, LEDGER_KEY, announced_safety
from bide.ledger.script import Key, Script
from bide.ledger.script_runner import Scripts
from bide.redis_errors import away, is_away

T = TypeVar("T")

#: The time for which a run that is over is remembered [seconds]; its objects stay.
RETENTION_SECONDS = 7 * 24 * 3600

#: A message that comes this much before its time counts as due [seconds].
EARLY_SECONDS = 0.25


class Runs:
    """All runs on one Redis; every method raises `LedgerAwayError` when it stays away."""

    def __init__(self, server: redis.Redis, *, retention_seconds: int = RETENTION_SECONDS) -> None:
        self.server = server
        self._scripts = Scripts(server)
        self._retention_seconds = retention_seconds

    # For clients and the command

    def create(self, run_id: str, *, rows: int, digest: str, source: str, options: Options, copies: int = 0) -> bool:
        """Write the record of a new run, before its input is in place; False: the run is there, with the same input.

        Raises `IdempotencyConflictError` where the name belongs to a run of another input.
        """
        check_run_id(run_id)
        record: dict[str, str | int] = {
            "v": RUN_VERSION,
            "state": "starting",
            "rows": rows,
            "digest": digest,
            "source": source,
            "copies": copies,
            "row": 1,
            "offset": 0,
            "part": 1,
            **options.fields(),
        }
        created, *found = self._run(
            run_prefix(run_id), scripts.Create(live_runs=Key(RUNS_KEY), run=run_id, record=record)
        )
        if not created and found[0] != digest and found[1] == "starting":
            raise IdempotencyConflictError(
                f"run {run_id} was noted for other rows, and never got its input: "
                f"end it by `bide bulk cancel {run_id}`, and take another --run-id"
            )
        if not created and found[0] != digest:
            raise IdempotencyConflictError(f"run {run_id} is of another file; take another --run-id")
        return bool(created)

    def begin(self, run_id: str) -> bool:
        """Let a new run begin, whose input is in place; raises `NotReplicatedError` where a failover may lose it.

        It waits for replicas as the workers have announced.
        """
        safety = announced_safety(reach(lambda: self.server.hmget(LEDGER_KEY, ANNOUNCED)))
        [reply], _ = self._scripts.run_safely([(run_prefix(run_id), self._steering(run_id, "begin", ""))], safety)
        if isinstance(reply, Exception):
            raise reply
        return bool(reply[0])

    @contextmanager
    def intake_lease(self, run_id: str, *, seconds: float) -> Iterator[bool]:
        """The lease on a run's intake, renewed while the block runs; False: another process has it.

        The lease of a process that died runs out after `seconds`.
        """
        token = uuid.uuid4().hex
        mine = scripts.Intake(token=token, seconds=seconds)
        if not self._run(run_prefix(run_id), mine):
            yield False
            return
        try:
            with keep_lease(lambda: self._run(run_prefix(run_id), mine), seconds=seconds):
                yield True
        finally:
            with suppress(LedgerAwayError):  # the lease runs out by itself
                self._run(run_prefix(run_id), scripts.Intake(token=token, seconds=0))

    def has_intake_lease(self, run_id: str) -> bool:
        """Whether a process reads and checks the rows of a run now."""
        return bool(reach(lambda: self.server.exists(f"{run_prefix(run_id)}intake")))

    def read(self, run_id: str) -> Run | None:
        """A run; None where no run of that name is known, or where it was forgotten."""
        fields: dict[Any, Any] = reach(lambda: self.server.hgetall(f"{run_prefix(run_id)}record"))
        return Run(run_id, fields) if fields else None

    def ledger_id(self) -> str:
        """The id of the ledger that has the runs; '' where no worker has given it one yet."""
        return reach(lambda: read_state(self.server)).id

    def all(self) -> list[Run]:
        """All runs that are remembered, the oldest first."""
        ids = reach(lambda: [*self.server.zrange(ENDED_KEY, 0, -1), *self.server.zrange(RUNS_KEY, 0, -1)])
        found = filter(None, map(self.read, dict.fromkeys(ids)))
        return sorted(found, key=lambda run: float(run.fields.get("created") or 0))

    def pause(self, run_id: str, *, why: str) -> bool:
        """Pause a run: nothing more is bought, bought jobs go on to their results. False: the run is not running."""
        return self._steer(run_id, "pause", why)

    def resume(self, run_id: str, limits: Options | None = None) -> bool:
        """Resume a run; the limits that are given replace its own. False: the run is not paused.

        Limits may also be given to a run that is running.
        """
        given = limits.fields() if limits else {}
        changed: dict[str, str | int] = {
            name: given[name] for name in ("max_jobs", "max_failures", "budget") if name in given
        }
        return self._steer(run_id, "resume", "", changed)

    def cancel(self, run_id: str) -> bool:
        """Cancel a run: bought jobs go on to their results, all other rows are canceled. False: the run is over."""
        if self.forget(run_id, why="canceled before its input was in place; nothing was bought"):
            return True
        return self._steer(run_id, "cancel", "canceled on request; what the providers have accepted is brought home")

    def forget(self, run_id: str, *, why: str) -> bool:
        """End a run that never got its input. False: the run has its input."""
        return self._steer(run_id, "forget", why)

    def finish(self, run_id: str, *, note: str) -> bool:
        """End a run whose rows are all done and whose results are written."""
        return self._steer(run_id, "finish", note)

    def restate(self, run_id: str, ended: Mapping[str, int]) -> None:
        """Write new counts of rows, by their end, for a run that is over; its retention begins anew."""
        key, counts = f"{run_prefix(run_id)}record", dict[Any, Any](ended)
        with self.server.pipeline() as together:
            together.hset(key, mapping=counts)
            together.expire(key, self._retention_seconds)
            reach(together.execute)

    def _steer(self, run_id: str, action: str, note: str, limits: Mapping[str, str | int] | None = None) -> bool:
        done, _ = self._run(run_prefix(run_id), self._steering(run_id, action, note, limits))
        return bool(done)

    def _steering(
        self, run_id: str, action: str, note: str, limits: Mapping[str, str | int] | None = None
    ) -> scripts.Steer:
        return scripts.Steer(
            live_runs=Key(RUNS_KEY),
            ended_runs=Key(ENDED_KEY),
            run=run_id,
            action=action,
            note=note,
            retention_seconds=self._retention_seconds,
            limits=limits or {},
        )

    # For the feeder

    def take(self, run_id: str, token: str, *, seconds: float) -> bool:
        """Lease a run that is due; False: another feeder has the run, or it is not due."""
        return self._lease(run_id, token, seconds, early_seconds=EARLY_SECONDS)

    def keep(self, run_id: str, token: str, *, seconds: float) -> bool:
        """Renew the lease; False: another feeder has it now."""
        return self._lease(run_id, token, seconds, early_seconds=None)

    def release(self, run_id: str, token: str, *, seconds: float) -> float | None:
        """Give the lease back. Returns the delay until the run is due [seconds]; None: another feeder has the run."""
        script = scripts.Release(live_runs=Key(RUNS_KEY), run=run_id, token=token, seconds=seconds)
        return {0: None, 1: seconds, 2: 0.0}[int(self._run(run_prefix(run_id), script))]

    def overdue(self, *, late_seconds: float) -> list[str]:
        """Runs that no feeder took within `late_seconds` after their time: their messages are lost."""
        return list(self._run(run_prefix(""), scripts.Overdue(live_runs=Key(RUNS_KEY), late_seconds=late_seconds)))

    def live(self, run_id: str) -> list[LiveRow]:
        """The live rows, in their order."""
        entries: dict[Any, Any] = reach(lambda: self.server.hgetall(f"{run_prefix(run_id)}live"))
        return sorted((LiveRow(int(row), entry) for row, entry in entries.items()), key=lambda live: live.row)

    def feed(
        self, run_id: str, token: str, *, row: int, buys: bool, window: int, rows: Iterable[tuple[str, int, int]]
    ) -> tuple[int, str]:
        """Make rows live, from `row` on, by entry, price and next offset. Returns their number, and what stopped it."""
        fed = [scripts.FedRow(live, price, str(next_offset)) for live, price, next_offset in rows]
        script = scripts.Feed(token=token, first_row=row, buys=buys, window=window, rows=fed)
        taken, stopped = self._run(run_prefix(run_id), script)
        return int(taken), stopped

    def bought(self, run_id: str) -> dict[int, str]:
        """The rows that were taken up as bought and are not compared yet, each with what is noted of it."""
        noted: dict[Any, Any] = reach(lambda: self.server.hgetall(f"{run_prefix(run_id)}bought"))
        return {int(row): text for row, text in noted.items()}

    def settle_bought(self, run_id: str, token: str, rows: Sequence[BoughtRow]) -> None:
        """Have rows that were taken up as bought be the run's, where they are; each of them is compared by then."""
        self._run(run_prefix(run_id), scripts.Bought(token=token, rows=rows))

    def open(self, run_id: str, account: AccountName, rows: Sequence[OpenedRow]) -> int:
        """Open the jobs of rows. Returns the number of jobs."""
        script = scripts.Open(
            live_rows=self._live_key(run_id),
            accounts=Key(ACCOUNTS_KEY),
            account_name=str(account),
            run=run_id,
            rows=rows,
        )
        return int(self._run(prefix(account), script))

    def recall(self, run_id: str, account: AccountName, rows: Iterable[tuple[LiveRow, str]]) -> int:
        """Take rows back that wait in line. Returns the number of them."""
        recalled = [scripts.RecalledRow(str(live.row), live.entry, job_id) for live, job_id in rows]
        script = scripts.Recall(live_rows=self._live_key(run_id), rows=recalled)
        return int(self._run(prefix(account), script))

    def assign(self, run_id: str, rows: Iterable[tuple[LiveRow, str]]) -> tuple[int, dict[int, str]]:
        """Decide the rows of the results' next part, unless they are decided. Returns its number and its rows' ends."""
        ended = [scripts.EndedRow(str(live.row), live.entry, ending) for live, ending in rows]
        part, pending = self._run(run_prefix(run_id), scripts.Assign(rows=ended))
        pairs = (entry.split(":") for entry in pending.split())
        return int(part), {int(row): end for row, end in pairs}

    def commit(self, run_id: str, *, part: int, spent: int, counts: Mapping[str, int]) -> bool:
        """Commit a part that is written: its rows are done. False: another feeder has committed it."""
        return bool(self._run(run_prefix(run_id), scripts.Commit(part=part, spent=str(spent), counts=counts)))

    def drop(self, account: AccountName, job_ids: Iterable[str]) -> None:
        """Delete the records of rows that lie in the results."""
        self._run(prefix(account), scripts.Drop(ids=[*job_ids]))

    def leave(self, run_id: str, account: AccountName) -> None:
        """Take a run that is over out of an account's line."""
        reach(lambda: self.server.hdel(f"{prefix(account)}account", f"turn:{run_id}"))

    def budget(self, run_id: str) -> RunBudget | None:
        """The budget that a purchase of a row must fit into; None where its run has none, or is over."""
        names = ("state", "budget", "budget_currency", "prices", "currencies")
        values: list[Any] = reach(lambda: self.server.hmget(f"{run_prefix(run_id)}record", names))
        return RunBudget.of(run_id, dict(zip(names, values, strict=True)))

    def note(self, run_id: str, **fields: str | int | float) -> None:
        """Write fields of the run's progress."""
        noted: dict[Any, Any] = {**fields}
        reach(lambda: self.server.hset(f"{run_prefix(run_id)}record", mapping=noted))

    # Internals

    def _lease(self, run_id: str, token: str, seconds: float, *, early_seconds: float | None) -> bool:
        script = scripts.Lease(
            live_runs=Key(RUNS_KEY), run=run_id, token=token, seconds=seconds, early_seconds=early_seconds
        )
        return bool(self._run(run_prefix(run_id), script))

    def _live_key(self, run_id: str) -> Key:
        return Key(f"{run_prefix(run_id)}live")

    def _run(self, prefix: str, script: Script) -> Any:
        return self._scripts.run(prefix, script)


def reach(read: Callable[[], T]) -> T:
    """The answer of Redis; raises `LedgerAwayError`."""
    try:
        return read()
    except redis.RedisError as error:
        if not is_away(error):
            raise
        raise away(error) from error
