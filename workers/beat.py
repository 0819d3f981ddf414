"""Beat: RedBeat's scheduler, of which one at a time works, and the schedules of `config/schedules.toml` in its turns.

RedBeat's own entries know neither a time zone nor the time they were due, and a message that could not be sent is lost
with them. What is due is therefore decided here; RedBeat holds the lock, turns, and keeps the entries others may add.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.contract import BULK_TASK, CONTROL_QUEUE
from bide.errors import LedgerAwayError
from bide.settings.problems import ConfigurationProblems
from config.schedules import Schedule, load
from workers.fires import GIVE_UP, Fires, Stage

log = structlog.get_logger()

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
        self._fires, self._runs = Fires(server), Runs(server)

    def turn(self, now: datetime) -> float:
        """Do what is due; how long it is until the next time [seconds]. Trouble is logged and left to the next turn."""
        try:
            for schedule in self._schedules:
                self._fires.advance(schedule, now=now)
            self._fires.deliver(now=now, stage=self._stage, post=self)
        except (LedgerAwayError, redis.RedisError, OperationalError, OSError) as error:
            log.warning("schedules.away", reason=type(error).__name__)
        return self._until_next(now)

    def _until_next(self, now: datetime) -> float:
        due = (next(schedule.fires(after=now)) for schedule in self._schedules if schedule.enabled)
        return min(((moment - now).total_seconds() for moment in due), default=float("inf"))

    def _stage(self, run_id: str) -> Stage:
        """Whether the run is there, its input in place, or was refused; or is about to be."""
        run = self._runs.read(run_id)
        if run is not None and run.state != "starting":
            return "begun"
        return "beginning" if self._runs.is_taken_in(run_id) else "unknown"

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


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """RedBeat's; it reads `--schedule` (`config/schedules.toml`) before all else, and ends where that is wrong."""

    def __init__(self, app: Celery, *, schedule_filename: str, **options: Any) -> None:
        try:
            schedules = load(Path(schedule_filename))
        except ConfigurationProblems as problems:
            sys.exit(str(problems))
        super().__init__(app, **options)
        self._schedules = Schedules(app, schedules)

    def tick(self, **options: Any) -> float:
        """RedBeat's turn, which keeps the lock, and ours."""
        wait: float = super().tick(**options)
        return max(0.0, min(wait, self._schedules.turn(datetime.now(UTC))))
