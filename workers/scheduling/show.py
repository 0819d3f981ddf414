"""`bide schedules`: shows each schedule with its next times, its last run and its missed times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
import redis
from redbeat.schedulers import get_redis

from bide.cli.output import PrintableErrors, ProblemsError, echo, echo_json, echo_paragraphs
from bide.settings.problems import ConfigurationProblems
from config.schedules import SCHEDULES_FILE, Schedule, load
from workers.scheduling.occurrences import Occurrences, State

#: Next times that are shown of each schedule.
NEXT_SHOWN = 5

#: Missed times that are shown to a person; `--json` has all that are remembered.
MISSED_SHOWN = 3


@click.command(cls=PrintableErrors)
@click.option("--json", "as_json", is_flag=True)
@click.option("--file", type=click.Path(path_type=Path), default=SCHEDULES_FILE)
def main(as_json: bool, file: Path) -> None:
    """Show the schedules of a file, with their states out of Redis."""
    try:
        schedules = load(file)
    except ConfigurationProblems as problems:
        raise ProblemsError(str(problems)) from None
    shown = described(schedules, _occurrences(), now=datetime.now(UTC))
    if as_json:
        echo_json(shown)
    elif shown:
        echo_paragraphs(map(_lines, shown))
    else:
        echo(f"{file.name} has no schedules")


def described(
    schedules: tuple[Schedule, ...], occurrences: Occurrences | None, *, now: datetime
) -> list[dict[str, Any]]:
    """Each schedule as JSON; without `occurrences` only what the file has."""
    pending = occurrences.pending() if occurrences else {}
    return [_described(one, occurrences.state(one.name) if occurrences else State(), pending, now) for one in schedules]


def _described(schedule: Schedule, state: State, pending: dict[str, Any], now: datetime) -> dict[str, Any]:
    coming = islice(schedule.occurrences(after=now), NEXT_SHOWN) if schedule.enabled else ()
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone.key,
        "source": schedule.source,
        "options": schedule.options.as_json(),
        "catch_up": schedule.catch_up,
        "enabled": schedule.enabled,
        "next": [due.astimezone(schedule.timezone).isoformat() for due in coming],
        "last": {"due": _local(schedule, state.last_due), "run_id": state.last_run} if state.last_run else None,
        "missed_count": state.missed_count,
        "missed": [{"due": _local(schedule, it.due), "run_id": it.run_id or None} for it in state.missed],
        "waiting": [run_id for run_id in pending if _is_of(schedule, run_id)],
    }


def _is_of(schedule: Schedule, run_id: str) -> bool:
    return run_id.rpartition("-")[0] == schedule.name


def _local(schedule: Schedule, moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(schedule.timezone).isoformat()


def _lines(schedule: dict[str, Any]) -> Iterator[str]:
    yield f"{schedule['name']}  {schedule['cron']}  {schedule['timezone']}" + ("" if schedule["enabled"] else "  (off)")
    yield f"  source  {schedule['source']}" + "".join(
        f"  {name}={value}" for name, value in schedule["options"].items()
    )
    for title, due in zip(["next", *[""] * NEXT_SHOWN], schedule["next"], strict=False):
        yield f"  {title:7} {_readable(due)}"
    if last := schedule["last"]:
        yield f"  last    {_readable(last['due'])}  run {last['run_id']}"
    if count := schedule["missed_count"]:
        yield f"  missed  {count}, the latest {'; '.join(map(_missed, schedule['missed'][: -MISSED_SHOWN - 1 : -1]))}"
    if schedule["waiting"]:
        yield f"  waits   {', '.join(schedule['waiting'])}: sent, and not begun by any worker yet"


def _missed(entry: dict[str, Any]) -> str:
    return f"{_readable(entry['due'])} ({'made up for' if entry['run_id'] else 'skipped'})"


def _readable(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%a %Y-%m-%d %H:%M %z}"


def _occurrences() -> Occurrences | None:
    """The occurrences in Redis; None, with a message on standard error, where Redis does not answer."""
    try:
        from workers.app import app  # noqa: PLC0415 - it ends the process where the settings are wrong

        app.conf.redbeat_redis_options = {**app.conf.redbeat_redis_options, "retry": None}  # a person waits
        server = get_redis(app)
        server.ping()
    except (redis.RedisError, SystemExit) as error:
        echo(f"last and missed times are not known: {error}", err=True)
        return None
    return Occurrences(server)
