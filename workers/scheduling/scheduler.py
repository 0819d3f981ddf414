"""Beat: RedBeat's scheduler, of which one process at a time works, with the schedules of `config/schedules.toml`.

RedBeat's own entries know neither a time zone nor the time at which they were due, and lose a message that can't be
sent. This module therefore decides what is due. RedBeat holds the lock, gives the turns, and keeps entries of others.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import redis
import structlog
from celery import Celery
from celery.signals import beat_init
from kombu.exceptions import OperationalError
from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock, get_redis
from redis.exceptions import LockError

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.contract import BULK_TASK, CONTROL_QUEUE
from bide.errors import LedgerAwayError
from bide.redis_errors import is_away, why_away
from bide.settings.problems import ConfigurationProblems
from config.schedules import Schedule, load
from config.settings import settings
from workers.scheduling.occurrences import GIVE_UP, Occurrences, Stage
from workers.server_check import end_on_a_cluster
from workers.transport.refusals import RETRY_SECONDS, LineThrottle

log = structlog.get_logger()

# RedBeat takes its lock before the first turn, and ends where Redis refuses it; this scheduler takes it in a turn.
beat_init.disconnect(acquire_distributed_beat_lock)

#: The note of a run that was given up.
NEVER_BEGUN = (
    f"no worker could begin it within {GIVE_UP / timedelta(hours=1):g} hours of its time, so nothing was bought; "
    "`bide bulk run` buys its rows under another name"
)


class Schedules:
    """Starts the runs of schedules that are due."""

    def __init__(self, app: Celery, schedules: tuple[Schedule, ...]) -> None:
        self._app, self._schedules = app, schedules
        server = get_redis(app)
        self._occurrences, self._runs = Occurrences(server), Runs(server)

    def turn(self, now: datetime) -> float:
        """Send what is due. Returns the delay until the next occurrence [seconds]; in an outage a later turn does."""
        try:
            for schedule in self._schedules:
                self._occurrences.advance(schedule, now=now)
            self._occurrences.deliver(now=now, stage=self._stage, sender=self)
        except (LedgerAwayError, redis.RedisError, OperationalError, OSError) as error:
            _log_away(error)
        return self._until_next(now)

    def _until_next(self, now: datetime) -> float:
        due = (next(schedule.occurrences(after=now)) for schedule in self._schedules if schedule.enabled)
        return min(((moment - now).total_seconds() for moment in due), default=float("inf"))

    def _stage(self, run_id: str) -> Stage:
        """The stage of a run: begun where its input is in place or it was refused, beginning while it is read."""
        run = self._runs.read(run_id)
        if run is not None and run.state != "starting":
            return "begun"
        return "beginning" if self._runs.has_intake_lease(run_id) else "unknown"

    def send(self, run: dict[str, Any]) -> None:
        """Have a worker begin a run."""
        self._app.send_task(
            BULK_TASK, kwargs={"run": run}, queue=CONTROL_QUEUE, task_id=run["run_id"], ignore_result=True
        )

    def give_up(self, run: dict[str, Any]) -> None:
        """End a run that no worker began, so that the list of runs has it with the reason."""
        if self._runs.read(run["run_id"]) is None:
            self._runs.create(run["run_id"], rows=0, digest="", source=run["source"], options=Options())
        self._runs.forget(run["run_id"], why=NEVER_BEGUN)


_line = LineThrottle()


def _log_away(error: Exception) -> None:
    """Log that beat waits for Redis, once a minute."""
    cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
    reason = str(error) if isinstance(error, LedgerAwayError) else why_away(cause)
    if _line.due(reason):
        log.warning("schedules.away", reason=reason)


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """RedBeat's scheduler with schedules. It reads `--schedule` first, and ends where that file is wrong."""

    lock: Any  # RedBeat has no types

    def __init__(self, app: Celery, *, schedule_filename: str, **options: Any) -> None:
        try:
            schedules = load(Path(schedule_filename))
        except ConfigurationProblems as problems:
            sys.exit(str(problems))
        end_on_a_cluster(settings())
        super().__init__(app, **options)
        self._schedules = Schedules(app, schedules)

    def setup_schedule(self) -> None:
        """Have RedBeat read its entries, once Redis answers."""
        while True:
            try:
                super().setup_schedule()
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                _log_away(error)
                time.sleep(RETRY_SECONDS)
            else:
                return

    def tick(self, **options: Any) -> float:
        """Take RedBeat's turn, which renews the lock, then ours. Where Redis is away or refuses, the next turn does."""
        try:
            if self.lock is None:
                acquire_distributed_beat_lock(SimpleNamespace(scheduler=self))
            wait: float = super().tick(**options)
        except LockError:  # it ran out while Redis was away, and may be another beat's by now
            log.warning("schedules.lock_lost", reason="it ran out while Redis did not answer; beat waits for it")
            self.lock = None
            return 0.0
        except redis.RedisError as error:
            if not is_away(error):
                raise
            _log_away(error)
            return RETRY_SECONDS
        return max(0.0, min(wait, self._schedules.turn(datetime.now(UTC))))

    def close(self) -> None:
        """Give the lock back; where Redis does not take it, it runs out by itself."""
        try:
            super().close()
        except redis.RedisError as error:
            if not (is_away(error) or isinstance(error, LockError)):
                raise
