"""The beginning of a bulk run in a worker: a message names the run and a source that the worker can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from bide.bulk.budget import with_budget
from bide.bulk.names import check_run_id
from bide.bulk.record import WINDOW, Failures, Options
from bide.bulk.sources import MAX_SOURCE_CHARACTERS, check_sent
from bide.bulk.start import open_intake, start
from bide.errors import BideError, IdempotencyConflictError, InvalidRequestError, StorageError
from bide.money.amounts import millionths
from bide.settings.prices import quotes_of
from bide.settings.problems import ConfigurationProblems
from bide.validation import redacted
from config.schedules import SCHEDULED_RUN, SCHEDULES_FILE, RunOptions, Schedule, load
from workers.accounts import refuses_unknown_params
from workers.scheduling.occurrences import is_sent
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: Why a message under the id of a schedule's run is refused.
NOT_OF_SCHEDULE = (
    "run id: belongs to a schedule, which does not send this message now by this worker's config/schedules.toml; "
    "take another name, or have workers and beat read the same file"
)

#: The fields of a message.
_FIELDS = frozenset({"run_id", "source", "options"})


@dataclass(frozen=True)
class Origin:
    """What this worker's file of schedules says of a message. Only an operator can write that file."""

    #: The file would send this very message now.
    scheduled: bool
    #: The run id is one that a schedule of the file may use.
    reserved: bool

    @classmethod
    def of(cls, message: Mapping[str, Any], run_id: str, file: Path, *, now: datetime) -> Origin:
        """A file that can't be read may have any schedule: then each id of that form is reserved."""
        try:
            schedules: tuple[Schedule, ...] = load(file)
        except ConfigurationProblems:
            return cls(scheduled=False, reserved=SCHEDULED_RUN.fullmatch(run_id) is not None)
        return cls(
            scheduled=any(is_sent(schedule, message, now=now) for schedule in schedules),
            reserved=any(schedule.owns(run_id) for schedule in schedules),
        )


def begin_run(
    tools: Toolbox, message: Mapping[str, Any], *, schedules: Path = SCHEDULES_FILE, now: datetime | None = None
) -> str | None:
    """Begin the run `{"run_id", "source", "options"}`. Returns its id; None where it is refused, or begun elsewhere.

    A refused run is recorded with the reason, so that beat does not send it again. A message under the id of a schedule
    that the schedule would not send is refused without a record, which would take that run's place.

    Raises `InvalidRequestError` for a message that names no run; `StorageError` and `LedgerAwayError` where another
    attempt may succeed.
    """
    run_id, source = _named(message)
    origin = Origin.of(message, run_id, schedules, now=now or datetime.now(UTC))
    with tools.runs.intake_lease(run_id, seconds=tools.settings.timing.lease_seconds) as alone:
        if not alone:
            log.info("bulk.begins_elsewhere", run=run_id, source=source)
            return None
        known = tools.runs.read(run_id)
        if known is not None and known.state != "starting" and known.text("source") == source:
            log.info("bulk.joined", run=run_id, source=source, rows=known.number("rows"))
            return run_id
        if origin.reserved and not origin.scheduled:
            log.error("bulk.refused", run=run_id, source=source, reason=NOT_OF_SCHEDULE)
            return None
        return _begin(tools, message, run_id, source, origin)


def _named(message: Mapping[str, Any]) -> tuple[str, str]:
    """The run's id and its source; raises `InvalidRequestError`."""
    if set(message) - _FIELDS:
        raise InvalidRequestError(f"run: has an unknown field; there are {', '.join(sorted(_FIELDS))}")
    run_id, source = check_run_id(message.get("run_id")), message.get("source")
    if not isinstance(source, str) or not 0 < len(source) <= MAX_SOURCE_CHARACTERS:
        raise InvalidRequestError(f"source: must be s3://bucket/key, of up to {MAX_SOURCE_CHARACTERS} characters")
    try:
        source.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("source: holds half a surrogate pair, which no name has") from None
    return run_id, source


def _begin(tools: Toolbox, message: Mapping[str, Any], run_id: str, source: str, origin: Origin) -> str | None:
    try:
        options, template, tenant = _options(message, tools)
        if not origin.scheduled:
            _check_readable(tools, {"source": source, "template": template})
        checks = {
            "refuses": partial(refuses_unknown_params, tools.settings),
            "quote": quotes_of(tools.settings.providers).quote,
            "tenant": tenant,
        }
        with open_intake(source, template=template, storage=tools.storage, **checks) as intake:
            if options.budget is not None:
                intake.check()
                options = with_budget(options, intake)
            begun = start(tools.runs, tools.storage, intake, run_id=run_id, source=source, options=options)
    except (InvalidRequestError, IdempotencyConflictError, StorageError) as error:
        if isinstance(error, StorageError) and not error.permanent:
            raise
        _refuse(tools, run_id, source, error)
        return None
    log.info("bulk.begun" if begun else "bulk.joined", run=run_id, source=source, rows=intake.rows)
    return run_id


def _check_readable(tools: Toolbox, named: Mapping[str, str | None]) -> None:
    """Raise `InvalidRequestError` for a source that messages may not name."""
    buckets = {tools.storage.options.bucket, *tools.settings.bulk.source_buckets}
    for what, source in named.items():
        if source is not None:
            check_sent(source, what=what, buckets=buckets)


def _options(message: Mapping[str, Any], tools: Toolbox) -> tuple[Options, str | None, str | None]:
    """The options of the run, its template, and the tenant of rows that name none."""
    given = message.get("options") or {}
    if not isinstance(given, dict):
        raise InvalidRequestError("options: must be a JSON object")
    try:
        asked = RunOptions.model_validate(given)
    except ValidationError as error:
        raise InvalidRequestError(f"options: {redacted(error, given, known=RunOptions.model_fields)}") from None
    prices, currencies = quotes_of(tools.settings.providers).to_record()
    options = Options(
        window=asked.window or WINDOW,
        max_jobs=asked.max_jobs,
        max_failures=None if asked.max_failures is None else Failures.parse(asked.max_failures),
        budget=None if asked.budget is None else millionths(asked.budget, what="budget"),
        sheet_metadata=tuple(asked.sheet_metadata or ()),
        prices=prices,
        currencies=currencies,
    )
    return options, asked.template, asked.tenant


def _refuse(tools: Toolbox, run_id: str, source: str, error: BideError) -> None:
    """End the run with the reason, unless it has begun, or its name belongs to another source."""
    why = (error.redacted if isinstance(error, InvalidRequestError) else str(error))[:2000]
    log.error("bulk.refused", run=run_id, source=source, reason=why)
    known = tools.runs.read(run_id)
    if known is None:
        tools.runs.create(run_id, rows=0, digest="", source=source, options=Options())
    elif known.text("source") != source:
        return
    elif isinstance(error, IdempotencyConflictError):
        why = f"{source} changed after it was first read, before the run had its input; nothing was bought"
    tools.runs.forget(run_id, why=why)
