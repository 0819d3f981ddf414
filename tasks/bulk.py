"""`bide.bulk`: one look at a bulk run. It does a page of work, and has the next look scheduled."""

from __future__ import annotations

from typing import Any

import structlog

from bide.bulk.names import RUN_ID, check_run_id
from bide.errors import BideError, InvalidRequestError
from config.queues import BULK
from workers.app import app
from workers.lifecycle import process
from workers.scheduling.begin_run import begin_run

log = structlog.get_logger()


@app.task(Strategy="workers.celery_patches.message_check:checked_strategy", **BULK)
def bulk(*args: Any, **kwargs: Any) -> None:
    """Look at the run of that name: whether anything is to be done, and by whom, its record says.

    Takes one argument, `run`, by keyword or as the first positional one: a name, or `{"run_id", "source", "options"}`,
    which begins a run first, as a schedule does.
    """
    named = _name(args, kwargs)
    tools = process.toolbox
    try:
        run = _argument(args, kwargs)
        run_id = begin_run(tools, run) if isinstance(run, dict) else check_run_id(run)
        seconds = tools.feeder.feed(run_id) if run_id else None
    except InvalidRequestError as error:
        log.error("bulk.refused", run=named, reason=str(error))
    except BideError as error:  # Redis or object storage is away: the sweeper, or the schedule, comes again
        log.warning("bulk.look_put_off", run=named, reason=str(error))
    except Exception:
        log.exception("bulk.look_broke", run=named)  # the sweeper, or the schedule, comes again
    else:
        if run_id and seconds is not None:
            tools.dispatcher.look_at_run(run_id, countdown_seconds=seconds)


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = [*args, *kwargs.values()]
    if len(given) != 1 or set(kwargs) - {"run"}:
        raise InvalidRequestError("run: is the one argument this task takes, positional or by that name")
    return given[0]


def _name(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The run's name for the log; None where there is none that could be one."""
    run = next(iter((*args, *kwargs.values())), None)
    name = run.get("run_id") if isinstance(run, dict) else run
    return name if isinstance(name, str) and RUN_ID.fullmatch(name) else None
