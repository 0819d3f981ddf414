"""Begins a bulk run in a worker: what a schedule asks for, from a source that the worker can read."""

from __future__ import annotations

from typing import Any

import structlog

from bide.bulk.money import millionths
from bide.bulk.names import check_run_id
from bide.bulk.rates import check_budget
from bide.bulk.record import WINDOW, Failures, Options
from bide.bulk.start import start, taken_in
from bide.errors import BideError, IdempotencyConflictError, InvalidRequestError, StorageError
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: What may be said of a run.
_OPTIONS = frozenset({"template", "window", "max_jobs", "max_failures", "budget"})


def begin_run(tools: Toolbox, told: dict[str, Any]) -> str | None:
    """Begin the run `{"run_id", "source", "options"}`; its id, or None where it can't be begun, or another is at it.

    What can't be begun stands in the list of runs with the reason, so that nobody sends it again. Raises what passes:
    `StorageError`, `LedgerAwayError`.
    """
    run_id, source = check_run_id(str(told.get("run_id"))), str(told.get("source"))
    with tools.runs.taking_in(run_id, seconds=tools.settings.timing.lease_seconds) as alone:
        if not alone:
            log.info("bulk.begins_elsewhere", run=run_id, source=source)
            return None
        known = tools.runs.read(run_id)
        if known is not None and known.state != "starting" and known.text("source") == source:
            log.info("bulk.joined", run=run_id, source=source, rows=known.number("rows"))
            return run_id
        return _begin(tools, run_id, source, told.get("options") or {})


def _begin(tools: Toolbox, run_id: str, source: str, said: dict[str, Any]) -> str | None:
    try:
        options = _options(said, tools)
        with taken_in(source, template=said.get("template"), storage=tools.storage) as intake:
            if options.budget is not None:
                intake.check()
                check_budget(intake, options.prices)
            begun = start(tools.runs, tools.storage, intake, run_id=run_id, source=source, options=options)
    except (InvalidRequestError, IdempotencyConflictError, StorageError) as error:
        if isinstance(error, StorageError) and not error.permanent:
            raise
        _refuse(tools, run_id, source, error)
        return None
    log.info("bulk.begun" if begun else "bulk.joined", run=run_id, source=source, rows=intake.rows)
    return run_id


def _options(said: dict[str, Any], tools: Toolbox) -> Options:
    if unknown := sorted(set(said) - _OPTIONS):
        raise InvalidRequestError(f"options: there is no {', '.join(unknown)}")
    failures, budget = said.get("max_failures"), said.get("budget")
    return Options(
        window=int(said.get("window") or WINDOW),
        max_jobs=said.get("max_jobs"),
        max_failures=None if failures is None else Failures.parse(str(failures)),
        budget=None if budget is None else millionths(budget, what="budget"),
        prices={
            f"{provider} {operation}": millionths(price, what="price")
            for provider, its in tools.settings.providers.items()
            for operation, price in its.prices
        },
    )


def _refuse(tools: Toolbox, run_id: str, source: str, error: BideError) -> None:
    """The run ends with the reason, unless it goes on, or the name is another's."""
    why = str(error)[:2000]
    log.error("bulk.refused", run=run_id, source=source, reason=why)
    known = tools.runs.read(run_id)
    if known is None:
        tools.runs.create(run_id, rows=0, digest="", source=source, options=Options())
    elif known.text("source") != source:
        return
    elif isinstance(error, IdempotencyConflictError):
        why = f"{source} changed after it was first read, before the run had its input; nothing was bought"
    tools.runs.forget(run_id, why=why)
