"""The runs there are: their records and clocks in Redis, and their scripts (`scripts/*.lua`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import redis

from bide.bulk import scripts
from bide.bulk.lease import keep_lease
from bide.bulk.names import ENDED_KEY, RUNS_KEY, check_run_id, run_prefix
from bide.bulk.record import RUN_VERSION, Live, Options, Run
from bide.bulk.scripts import OpenedRow
from bide.errors import IdempotencyConflictError, LedgerAwayError
from bide.ledger import AccountName
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.script import Key, Script
from bide.ledger.script_runner import Scripts
from bide.redis_errors import away, is_away

T = TypeVar("T")

#: How long a run that is over is remembered [seconds]; its objects stay.
RETENTION_SECONDS = 7 * 24 * 3600

#: A message this much before its time is taken as if it were due [seconds].
EARLY_SECONDS = 0.25


class Runs:
    """All runs on one Redis; every method raises `LedgerAwayError` when it stays away."""

    def __init__(self, server: redis.Redis, *, retention_seconds: int = RETENTION_SECONDS) -> None:
        self.server = server
        self._scripts = Scripts(server)
        self._retention_seconds = retention_seconds

    # For those who begin, watch and steer runs

    def create(self, run_id: str, *, rows: int, digest: str, source: str, options: Options, copies: int = 0) -> bool:
        """Note a new run, before its input is put in place; False: it is there already, with the same input.

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
        """The input of a new run lies in place now."""
        return self._steer(run_id, "begin", "")

    @contextmanager
    def taking_in(self, run_id: str, *, seconds: float) -> Iterator[bool]:
        """Read and check the rows of a run, for as long as the block runs; False: another does, and is alive.

        Whoever dies at it is known for dead after so many seconds.
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
            with suppress(LedgerAwayError):  # it runs out
                self._run(run_prefix(run_id), scripts.Intake(token=token, seconds=0))

    def is_taken_in(self, run_id: str) -> bool:
        """Whether somebody reads and checks the rows of a run just now."""
        return bool(reach(lambda: self.server.exists(f"{run_prefix(run_id)}intake")))

    def read(self, run_id: str) -> Run | None:
        """A run; None where none of that name is known, or none any more."""
        fields: dict[Any, Any] = reach(lambda: self.server.hgetall(f"{run_prefix(run_id)}record"))
        return Run(run_id, fields) if fields else None

    def all(self) -> list[Run]:
        """All runs that are remembered, the oldest first."""
        ids = reach(lambda: [*self.server.zrange(ENDED_KEY, 0, -1), *self.server.zrange(RUNS_KEY, 0, -1)])
        found = filter(None, map(self.read, dict.fromkeys(ids)))
        return sorted(found, key=lambda run: float(run.fields.get("created") or 0))

    def pause(self, run_id: str, *, why: str) -> bool:
        """Buy nothing more; what is bought is brought home. False: it does not run."""
        return self._steer(run_id, "pause", why)

    def resume(self, run_id: str, limits: Options | None = None) -> bool:
        """Go on, under the limits that are given over those it had. False: it is not paused."""
        given = limits.fields() if limits else {}
        changed: dict[str, str | int] = {
            name: given[name] for name in ("max_jobs", "max_failures", "budget") if name in given
        }
        return self._steer(run_id, "resume", "", changed)

    def cancel(self, run_id: str) -> bool:
        """End it: what is bought is brought home, all else is canceled. False: it is over."""
        if self.forget(run_id, why="canceled before its input was in place; nothing was bought"):
            return True
        return self._steer(run_id, "cancel", "canceled on request; what the providers have accepted is brought home")

    def forget(self, run_id: str, *, why: str) -> bool:
        """End a run that never got its input. False: it has it."""
        return self._steer(run_id, "forget", why)

    def finish(self, run_id: str, *, note: str) -> bool:
        """All rows are done, and everything is written."""
        return self._steer(run_id, "finish", note)

    def restate(self, run_id: str, ended: Mapping[str, int]) -> None:
        """Say anew how the rows of a run that is over ended; it is remembered from now on for as long as at first."""
        key, counts = f"{run_prefix(run_id)}record", dict[Any, Any](ended)
        with self.server.pipeline() as together:
            together.hset(key, mapping=counts)
            together.expire(key, self._retention_seconds)
            reach(together.execute)

    def _steer(self, run_id: str, action: str, note: str, limits: Mapping[str, str | int] | None = None) -> bool:
        script = scripts.Steer(
            live_runs=Key(RUNS_KEY),
            ended_runs=Key(ENDED_KEY),
            run=run_id,
            action=action,
            note=note,
            retention_seconds=self._retention_seconds,
            limits=limits or {},
        )
        done, _ = self._run(run_prefix(run_id), script)
        return bool(done)

    # For the feeder

    def take(self, run_id: str, token: str, *, seconds: float) -> bool:
        """Lease a run that is due to be looked at; False: another has it, or it is not due."""
        return self._lease(run_id, token, seconds, early_seconds=EARLY_SECONDS)

    def keep(self, run_id: str, token: str, *, seconds: float) -> bool:
        """Keep the lease; False: it has passed on."""
        return self._lease(run_id, token, seconds, early_seconds=None)

    def release(self, run_id: str, token: str, *, seconds: float) -> float | None:
        """Give the lease back. In how many seconds the run is to be looked at; None: others will see to it."""
        script = scripts.Release(live_runs=Key(RUNS_KEY), run=run_id, token=token, seconds=seconds)
        return {0: None, 1: seconds, 2: 0.0}[int(self._run(run_prefix(run_id), script))]

    def overdue(self, *, late_seconds: float) -> list[str]:
        """Runs that nobody has looked at for so long after their time: their messages are lost."""
        return list(self._run(run_prefix(""), scripts.Overdue(live_runs=Key(RUNS_KEY), late_seconds=late_seconds)))

    def live(self, run_id: str) -> list[Live]:
        """The live rows, in their order."""
        said: dict[Any, Any] = reach(lambda: self.server.hgetall(f"{run_prefix(run_id)}live"))
        return sorted((Live(int(row), text) for row, text in said.items()), key=lambda live: live.row)

    def feed(
        self, run_id: str, token: str, *, row: int, buys: bool, window: int, rows: Iterable[tuple[str, int, int]]
    ) -> tuple[int, str]:
        """Make rows live, from `row` on: note, price and next offset of each. How many were, and what stopped it."""
        fed = [scripts.FedRow(live, price, str(next_offset)) for live, price, next_offset in rows]
        script = scripts.Feed(token=token, first_row=row, buys=buys, window=window, rows=fed)
        taken, stopped = self._run(run_prefix(run_id), script)
        return int(taken), stopped

    def open(self, run_id: str, account: AccountName, rows: Sequence[OpenedRow]) -> int:
        """Open the jobs of rows; how many were."""
        script = scripts.Open(
            live_rows=self._live_key(run_id),
            accounts=Key(ACCOUNTS_KEY),
            account_name=str(account),
            run=run_id,
            rows=rows,
        )
        return int(self._run(prefix(account), script))

    def recall(self, run_id: str, account: AccountName, rows: Iterable[tuple[Live, str]]) -> int:
        """Take rows back that wait in line; how many were."""
        recalled = [scripts.RecalledRow(str(live.row), live.said, job_id) for live, job_id in rows]
        script = scripts.Recall(live_rows=self._live_key(run_id), rows=recalled)
        return int(self._run(prefix(account), script))

    def assign(self, run_id: str, rows: Iterable[tuple[Live, str]]) -> tuple[int, dict[int, str]]:
        """Decide what the next part of the results holds, unless that is decided: its number, and its rows' ends."""
        ended = [scripts.EndedRow(str(live.row), live.said, ending) for live, ending in rows]
        part, pending = self._run(run_prefix(run_id), scripts.Assign(rows=ended))
        pairs = (entry.split(":") for entry in pending.split())
        return int(part), {int(row): end for row, end in pairs}

    def commit(self, run_id: str, *, part: int, spent: int, counts: Mapping[str, int]) -> bool:
        """A part is written: its rows are done. False: another has said so."""
        return bool(self._run(run_prefix(run_id), scripts.Commit(part=part, spent=str(spent), counts=counts)))

    def drop(self, account: AccountName, job_ids: Iterable[str]) -> None:
        """Forget the records of rows that lie in the results."""
        self._run(prefix(account), scripts.Drop(ids=[*job_ids]))

    def leave(self, run_id: str, account: AccountName) -> None:
        """A run that is over has no turn in an account's line any more."""
        reach(lambda: self.server.hdel(f"{prefix(account)}account", f"turn:{run_id}"))

    def note(self, run_id: str, **fields: str | int | float) -> None:
        """Write how far the run is."""
        noted: dict[Any, Any] = {**fields}
        reach(lambda: self.server.hset(f"{run_prefix(run_id)}record", mapping=noted))

    # How

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
    """What Redis answers; raises `LedgerAwayError`."""
    try:
        return read()
    except redis.RedisError as error:
        if not is_away(error):
            raise
        raise away(error) from error
