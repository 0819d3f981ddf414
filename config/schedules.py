"""The schedules of bulk runs: `config/schedules.toml`, read strictly, with all its problems reported at once."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from bide.settings.problems import ConfigurationProblems, Problem
from bide.wire import Name

SCHEDULES_FILE = Path(__file__).with_name("schedules.toml")

#: A schedule's name begins the ids of its runs, which have 64 characters and end with `-20261122T0130Z`.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,48}")

#: The form of the time that ends the id of a schedule's run.
RUN_TIME = "[0-9]{8}T[0-9]{4}Z"

#: The form of a run id that some schedule of some file may use.
SCHEDULED_RUN = re.compile(rf"{NAME.pattern}-{RUN_TIME}")

#: The most that `max_jobs` can be: what a record in Redis counts exactly.
MOST_JOBS = 10**9


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"must have 5 fields, not {len(fields)}")
    try:
        next(CronSim(text, datetime.now(UTC)))
    except CronSimError as error:
        raise ValueError(f"can't be read: {error}") from None
    except StopIteration:
        raise ValueError("names a time that never comes") from None
    return " ".join(fields)


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, ZoneInfo):
        return name
    if not isinstance(name, str):
        raise ValueError("must be a name in quotes")  # noqa: TRY004 - the error that pydantic reports
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError("is no time zone that this machine knows") from None


def _source(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if separator and (scheme != "s3" or "/" not in rest.strip("/")):
        raise ValueError("is neither s3://bucket/key nor a path")
    if text == "-":
        raise ValueError("is standard input, which a worker does not have")
    return text


def _share_or_count(value: object) -> object:
    if isinstance(value, bool) or not re.fullmatch(r"\d+|\d+(\.\d+)?%", str(value)):
        raise ValueError('must be a count such as 10 or a share such as "5%"')
    return str(value)


class RunOptions(BaseModel):
    """The options of a scheduled run: those of `bide bulk run`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    template: Annotated[str, AfterValidator(_source)] | None = Field(
        None, min_length=1, description='the request that the columns of a CSV go into: "s3://bucket/key" or a path'
    )
    window: int | None = Field(None, ge=1, description="the number of rows that are alive at once")
    max_jobs: int | None = Field(
        None, ge=1, le=MOST_JOBS, description="the most jobs that the run buys; it skips its other rows"
    )
    max_failures: Annotated[str, BeforeValidator(_share_or_count)] | None = Field(
        None, description='the failures after which the run pauses: 10, or "5%"'
    )
    budget: float | None = Field(None, gt=0, description="the money that the run may spend")
    tenant: Name | None = Field(None, description="the tenant of rows that name none")
    sheet_metadata: list[str] | None = Field(
        None, description='a list of names of metadata that the contact sheet shows, such as ["sku"]'
    )

    def as_json(self) -> dict[str, JsonValue]:
        """The options that are set."""
        return self.model_dump(exclude_none=True)


class Schedule(BaseModel):
    """One schedule. Its times are those of a wall clock in its time zone, where each time comes once a day."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    cron: Annotated[str, AfterValidator(_cron)] = Field(
        description='minute hour day-of-month month day-of-week, such as "30 2 * * mon-fri"'
    )
    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] = Field(
        ZoneInfo("UTC"), description='a name such as "Europe/Berlin" (Debian has them in the package tzdata)'
    )
    source: Annotated[str, AfterValidator(_source)] = Field(
        min_length=1, description='the rows: "s3://bucket/key" or the path of a file, JSONL or CSV'
    )
    options: RunOptions = Field(RunOptions(), description="a table of options of `bide bulk run`")
    catch_up: Literal["skip", "once", "all"] = Field(
        "skip", description='"skip", "once" or "all": what to do about times that passed while beat was down'
    )
    enabled: bool = Field(True, description="true or false, without quotes")

    def occurrences(self, *, after: datetime) -> Iterator[datetime]:
        """The times after a moment at which the schedule is due, in UTC, one by one.

        A time that the clocks skip in spring is due at the moment to which they jump. A time that comes twice in autumn
        is due the first time. Schedules of every hour or every few minutes go on by real time.
        """
        last = after.astimezone(UTC)
        for due in CronSim(self.cron, after.astimezone(self.timezone)):
            if (
                moment := due.astimezone(UTC)
            ) > last:  # else a second hour of autumn, or of two skipped times the second
                yield moment
                last = moment

    def run_id(self, due: datetime) -> str:
        """The id of the run that is due then: however often it is started, it is one run."""
        return f"{self.name}-{due.astimezone(UTC):%Y%m%dT%H%MZ}"

    def run(self, due: datetime) -> dict[str, JsonValue]:
        """The run that is due then, as a message to `bide.bulk` has it."""
        return {"run_id": self.run_id(due), "source": self.source, "options": self.options.as_json()}

    def owns(self, run_id: str) -> bool:
        """Whether a run id has the form of this schedule's runs, whatever time it names."""
        return re.fullmatch(rf"{re.escape(self.name)}-{RUN_TIME}", run_id) is not None

    def sends(self, run: Mapping[str, Any], *, oldest: datetime, newest: datetime) -> bool:
        """Whether a message is this schedule's: switched on, word for word, and due between these moments."""
        try:
            due = datetime.strptime(str(run.get("run_id")), f"{self.name}-%Y%m%dT%H%MZ").replace(tzinfo=UTC)
            in_time = self.enabled and oldest <= due <= newest and self.run(due) == run
            return in_time and next(self.occurrences(after=due - timedelta(minutes=1)), None) == due
        except (ValueError, OverflowError):  # no time, or one that no calendar has
            return False

    @property
    def rule(self) -> str:
        """A digest that changes with the times at which the schedule is due."""
        return hashlib.sha256(f"{self.cron} {self.timezone.key}".encode()).hexdigest()[:16]


def load(file: Path = SCHEDULES_FILE) -> tuple[Schedule, ...]:
    """The schedules of a file, by name; raises `ConfigurationProblems` with all of its problems."""
    problems: list[Problem] = []
    schedules = [_schedule(file, name, table, problems) for name, table in _tables(file, problems).items()]
    if problems:
        raise ConfigurationProblems(problems)
    return tuple(sorted(filter(None, schedules), key=lambda schedule: schedule.name))


def problem(file: Path, place: str, wrong: str, remedy: str) -> Problem:
    """One problem of a file of schedules."""
    return Problem(f"{file.name}: {place}" if place else file.name, wrong, remedy)


def _tables(file: Path, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(problem(file, "", f"can't be read ({error.strerror})", f"put the file at {file}"))
        return {}
    except ValueError as error:
        problems.append(problem(file, "", f"is not TOML: {error}", "correct that line"))
        return {}
    tables = document.pop("schedules", {})
    problems += [problem(file, name, "is not known", "write a table [schedules.NAME]") for name in document]
    if isinstance(tables, dict):
        return tables
    problems.append(problem(file, "schedules", "is not a table", "write a table [schedules.NAME]"))
    return {}


def _schedule(file: Path, name: str, table: object, problems: list[Problem]) -> Schedule | None:
    place = f"schedules.{name}"
    if not NAME.fullmatch(name):
        remedy = "use up to 49 small letters, digits, - and _, a letter or digit first"
        problems.append(problem(file, place, "can't begin the id of a run", remedy))
        return None
    if not isinstance(table, dict):
        problems.append(problem(file, place, "is not a table", f"write a table [{place}]"))
        return None
    try:
        return Schedule.model_validate({**table, "name": name})
    except ValidationError as error:
        problems += (_problem(file, place, details) for details in error.errors(include_url=False))
        return None


def _problem(file: Path, place: str, details: Any) -> Problem:
    path = [str(part) for part in details["loc"]]
    model = RunOptions if path[0] == "options" and len(path) > 1 else Schedule
    field = path[1] if model is RunOptions else path[0]
    place = ".".join((place, *path[: 2 if model is RunOptions else 1]))
    if details["type"] == "extra_forbidden":
        known = ", ".join(name for name in model.model_fields if name != "name")
        return problem(file, place, "is not known", f"there are {known}")
    wrong = "is missing" if details["type"] == "missing" else _words(details["msg"])
    return problem(file, place, wrong, f"set it to {model.model_fields[field].description}")


def _words(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
