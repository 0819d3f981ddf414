"""`bide.bulk`: one look at a bulk run. It does a page of work, and has the next look scheduled."""

from __future__ import annotations

from typing import Any

import structlog

from bide.errors import BideError
from config.queues import BULK
from workers.app import app
from workers.runs import begin_run
from workers.toolbox import toolbox

log = structlog.get_logger()


@app.task(Strategy="workers.strategy:careful", **BULK)
def bulk(run: str | dict[str, Any]) -> None:
    """Look at the run of that name: whether anything is to be done, and by whom, its record says.

    `{"run_id", "source", "options"}` begins a run first, as a schedule does.
    """
    tools = toolbox()
    try:
        run_id = begin_run(tools, run) if isinstance(run, dict) else run
        seconds = tools.feeder.look_at(run_id) if run_id else None
    except BideError as error:  # Redis or object storage is away: the sweeper, or the schedule, comes again
        log.warning("bulk.look_put_off", run=run, reason=str(error))
    except Exception:
        log.exception("bulk.look_broke", run=run)  # as above
    else:
        if run_id and seconds is not None:
            tools.dispatcher.look_at_run(run_id, countdown_seconds=seconds)
