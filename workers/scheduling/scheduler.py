"""Beat: RedBeat's scheduler, of which one at a time works, and the schedules of `config/schedules.toml` in its turns.

RedBeat's own entries know neither a time zone nor the time they were due, and a message that could not be sent is lost
with them. What is due is therefore decided here; RedBeat holds the lock, turns, and keeps the entries others may add.
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
from workers.scheduling.occurrences import GIVE_UP, Occurrences, Stage
from workers.transport.refusals import RETRY_SECONDS, LineThrottle

log = structlog.get_logger()

# RedBeat takes its lock before the first turn, and a beat to which Redis refuses it would end; ours takes it in a turn.
beat_init.disconnect(acquire_distributed_beat_lock)

#: What is said of a run that was given up.
NOBODY_BEGAN_IT = (
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
        """Do what is due; how long it is until the next time [seconds]. Trouble is logged and left to the next turn."""
        try:
            for schedule in self._schedules:
                self._occurrences.advance(schedule, now=now)
            self._occurrences.deliver(now=now, stage=self._stage, post=self)
        except (LedgerAwayError, redis.RedisError, OperationalError, OSError) as error:
            _say_away(error)
        return self._until_next(now)

    def _until_next(self, now: datetime) -> float:
        due = (next(schedule.occurrences(after=now)) for schedule in self._schedules if schedule.enabled)
        return min(((moment - now).total_seconds() for moment in due), default=float("inf"))

    def _stage(self, run_id: str) -> Stage:
        """Whether the run is there, its input in place, or was refused; or is about to be."""
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
        """It stands in the list of runs, and why nothing came of it."""
        if self._runs.read(run["run_id"]) is None:
            self._runs.create(run["run_id"], rows=0, digest="", source=run["source"], options=Options())
        self._runs.forget(run["run_id"], why=NOBODY_BEGAN_IT)


_line = LineThrottle()


def _say_away(error: Exception) -> None:
    """Beat waits for Redis: a line of that once a minute."""
    cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
    reason = str(error) if isinstance(error, LedgerAwayError) else why_away(cause)
    if _line.due(reason):
        log.warning("schedules.away", reason=reason)


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """RedBeat's; it reads `--schedule` (`config/schedules.toml`) before all else, and ends where that is wrong."""

    lock: Any  # what RedBeat does not say of it

    def __init__(self, app: Celery, *, schedule_filename: str, **options: Any) -> None:
        try:
            schedules = load(Path(schedule_filename))
        except ConfigurationProblems as problems:
            sys.exit(str(problems))
        super().__init__(app, **options)
        self._schedules = Schedules(app, schedules)

    def setup_schedule(self) -> None:
        """RedBeat's reading of its entries, once Redis answers."""
        while True:
            try:
                super().setup_schedule()
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                _say_away(error)
                time.sleep(RETRY_SECONDS)
            else:
                return

    def tick(self, **options: Any) -> float:
        """RedBeat's turn, which keeps the lock, and ours; while Redis is away, or refuses, it waits for the next."""
        try:
            if self.lock is None:
                acquire_distributed_beat_lock(SimpleNamespace(scheduler=self))
            wait: float = super().tick(**options)
        except LockError:  # it ran out while Redis was away, and may be another beat's by now
            self.lock = None
            return 0.0
        except redis.RedisError as error:
            if not is_away(error):
                raise
            _say_away(error)
            return RETRY_SECONDS
        return max(0.0, min(wait, self._schedules.turn(datetime.now(UTC))))

    def close(self) -> None:
        """Give the lock back; where Redis does not take it, it runs out by itself."""
        try:
            super().close()
        except redis.RedisError as error:
            if not (is_away(error) or isinstance(error, LockError)):
                raise
