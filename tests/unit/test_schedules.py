"""`config/schedules.toml`: what is taken, what is refused, and when each schedule is due."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pytest

from bide.bulk.names import check_run_id
from bide.settings.problems import ConfigurationProblems
from config.schedules import Schedule, load

Write = Callable[[str], Path]


@pytest.fixture(name="write")
def _write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        file = tmp_path / "schedules.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def schedule(cron: str = "30 2 * * *", timezone: str = "Europe/Berlin", **more: Any) -> Schedule:
    """One that is right."""
    table = {"name": "nightly", "cron": cron, "timezone": timezone, "source": "s3://uploads/rows.jsonl"}
    return Schedule.model_validate({**table, **more})


def due(cron: str, first: str, last: str, timezone: str = "Europe/Berlin") -> list[str]:
    """The times between two moments (UTC), as a clock on the wall shows them."""
    begin, end = datetime.fromisoformat(f"{first}+00:00"), datetime.fromisoformat(f"{last}+00:00")
    one = schedule(cron, timezone)
    passed = takewhile(lambda moment: moment <= end, one.occurrences(after=begin))
    return [f"{moment.astimezone(one.timezone):%m-%d %H:%M%z}" for moment in passed]


# The file


def test_file_of_the_repository_is_right() -> None:
    """What is delivered holds no schedule, so that nothing is bought by itself."""
    assert load() == ()


def test_whole_table_is_read(write: Write) -> None:
    """Every field comes through, the options with it."""
    file = write(
        '[schedules.b]\ncron = "0 9 * * mon"\nsource = "rows.csv"\n'
        '[schedules.a]\ncron = "30  2 * * *"\ntimezone = "Europe/Berlin"\nsource = "s3://u/r.jsonl"\n'
        'catch_up = "all"\nenabled = false\noptions = { max_jobs = 10, max_failures = "5%", budget = 2.5 }\n'
    )

    first, second = load(file)

    assert (first.name, first.cron, first.timezone.key, first.source) == (
        "a",
        "30 2 * * *",
        "Europe/Berlin",
        "s3://u/r.jsonl",
    )
    assert (first.catch_up, first.enabled) == ("all", False)
    assert first.options.as_json() == {"max_jobs": 10, "max_failures": "5%", "budget": 2.5}
    assert (second.timezone.key, second.catch_up, second.enabled, second.options.as_json()) == ("UTC", "skip", True, {})


def test_all_problems_are_reported_together(write: Write) -> None:
    """An operator mends the file once: each problem has its place and its remedy."""
    file = write(
        'retries = 3\n[schedules."Bad Name"]\n[schedules.a]\ncron = "61 * * * *"\ntimezone = "Mars/Base"\n'
        'source = "http://x/y"\ncatch_up = "last"\nenabled = "yes"\nfile = "rows"\n'
        '[schedules.b]\ncron = "0 0 30 2 *"\noptions = { windo = 5, max_failures = "many" }\n'
    )

    with pytest.raises(ConfigurationProblems) as caught:
        load(file)

    places = [problem.variable.removeprefix("schedules.toml: ") for problem in caught.value.problems]
    assert sorted(places) == sorted(
        ["retries", "schedules.Bad Name"]
        + [f"schedules.a.{field}" for field in ("cron", "timezone", "source", "catch_up", "enabled", "file")]
        + [f"schedules.b.{field}" for field in ("cron", "source", "options.windo", "options.max_failures")]
    )
    assert all(problem.remedy for problem in caught.value.problems)
    assert "schedules.b.options.windo: is not known; there are template, window" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[schedules.a", "schedules = 3", "[schedules]\na = 3", "\x00", '[schedules.a]\ncron = "* * * * *"\ncron = 1'],
)
def test_what_is_no_such_file_is_refused(text: str, write: Write) -> None:
    """A broken file ends in a sentence, never in a traceback."""
    with pytest.raises(ConfigurationProblems):
        load(write(text))


def test_missing_file_is_reported(tmp_path: Path) -> None:
    """So is one that is not there."""
    with pytest.raises(ConfigurationProblems, match=r"can't be read \(No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("cron", ["* * * *", "* * * * * *", "@daily", "60 * * * *", "*/0 * * * *", "0 0 31 2 *", ""])
def test_cron_that_means_nothing_is_refused(cron: str) -> None:
    """Seconds, nicknames and days that never come, too."""
    with pytest.raises(ValueError, match="cron"):
        schedule(cron)


@pytest.mark.parametrize("source", ["", "http://host/x", "s3://bucket", "s3://bucket/", "ftp://x/y"])
def test_source_is_a_path_or_an_object(source: str) -> None:
    """Anything else would fail in the night."""
    with pytest.raises(ValueError, match="source"):
        Schedule(name="a", cron="* * * * *", source=source)


def test_longest_name_makes_a_run_id_that_is_taken() -> None:
    """A name that the file may have never makes an id that `bide.bulk` refuses."""
    longest = Schedule(name="n" * 49, cron="* * * * *", source="rows")

    assert len(check_run_id(longest.run_id(datetime(2026, 11, 22, 2, tzinfo=UTC)))) == 64


# When


def test_run_id_is_name_and_due_time() -> None:
    """Both in UTC, so that the two hours of an autumn night have two names."""
    moment = datetime.fromisoformat("2026-11-22T03:00:00+01:00")

    assert schedule().run_id(moment) == "nightly-20261122T0200Z"


def test_daily_run_in_the_hour_that_spring_skips() -> None:
    """02:30 does not come on that day; the run starts at the moment the clocks jump to, once."""
    assert due("30 2 * * *", "2026-03-27T12:00", "2026-03-30T12:00") == [
        "03-28 02:30+0100",
        "03-29 03:00+0200",
        "03-30 02:30+0200",
    ]


def test_daily_run_in_the_hour_that_autumn_repeats() -> None:
    """02:30 comes twice on that night; the run starts the first time only."""
    assert due("30 2 * * *", "2026-10-24T12:00", "2026-10-26T12:00") == ["10-25 02:30+0200", "10-26 02:30+0100"]


@pytest.mark.parametrize("minute", range(0, 60, 7))
def test_second_hour_of_autumn_starts_nothing_again(minute: int) -> None:
    """Wherever in the repeated hour one looks for the next time, it is never one that has passed."""
    within = datetime(2026, 10, 25, 1, minute, tzinfo=UTC)

    assert next(schedule().occurrences(after=within)) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_two_times_in_the_skipped_hour_are_one() -> None:
    """Both would start at the same moment, and be the same run."""
    assert due("15,45 2 * * *", "2026-03-28T12:00", "2026-03-29T12:00") == ["03-29 03:00+0200"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_hourly_runs_go_by_the_real_time(day: str, hours: int) -> None:
    """A day of 23 hours has 23 of them, one of 25 hours has 25."""
    begin = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=schedule().timezone).astimezone(UTC)
    found = list(islice(schedule("0 * * * *").occurrences(after=begin - timedelta(seconds=1)), hours + 1))

    assert found[hours] - found[0] == timedelta(hours=hours)
    assert found[hours].astimezone(schedule().timezone).hour == 0


def test_zone_without_summer_time_is_not_disturbed() -> None:
    """In UTC every day has its 02:30."""
    assert len(due("30 2 * * *", "2026-01-01T00:00", "2026-12-31T23:59", "UTC")) == 365


def test_year_in_berlin_has_365_nights() -> None:
    """Neither change of the clocks adds a run or takes one."""
    assert len(due("30 2 * * *", "2025-12-31T23:00", "2026-12-31T22:59")) == 365


def test_rule_changes_with_the_times_only() -> None:
    """A new source or another option is the same schedule; another zone is not."""
    assert schedule().rule == schedule(catch_up="all").rule
    assert len({schedule().rule, schedule("31 2 * * *").rule, schedule(timezone="UTC").rule}) == 3


@pytest.mark.parametrize(
    "timezone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
@pytest.mark.parametrize("cron", ["30 2 * * *", "15 1 * * *", "*/7 * * * *", "30 */2 * * *", "0 3 * 3,4,10,11 sun"])
def test_each_message_that_a_schedule_sends_is_known_for_its_own(cron: str, timezone: str) -> None:
    """Also of times that clocks skip or repeat; a minute later is none of its times, unless it is due every minute."""
    one = schedule(cron, timezone, options={"max_jobs": 7, "budget": 2.5})
    for begin in (
        datetime(2026, 3, 7, tzinfo=UTC),
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 10, 24, tzinfo=UTC),
    ):
        for due in islice(one.occurrences(after=begin), 400):
            assert one.sends(json.loads(json.dumps(one.run(due))), oldest=due, newest=due)
            later = due + timedelta(minutes=1)
            assert not one.sends(one.run(later), oldest=due, newest=later)
            assert not one.sends({**one.run(due), "source": "s3://uploads/others.jsonl"}, oldest=due, newest=due)


def test_a_message_is_a_schedules_own_while_it_is_on_and_the_time_is_right() -> None:
    """One that is switched off sends none, and none is sent before the oldest or after the newest time."""
    moment, minute = datetime(2026, 11, 30, 1, 30, tzinfo=UTC), timedelta(minutes=1)
    on, off = schedule(), schedule(enabled=False)
    assert on.sends(on.run(moment), oldest=moment - minute, newest=moment + minute)
    assert not off.sends(off.run(moment), oldest=moment - minute, newest=moment + minute)
    assert not on.sends(on.run(moment), oldest=moment + minute, newest=moment + 2 * minute)
    assert not on.sends(on.run(moment), oldest=moment - 2 * minute, newest=moment - minute)


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/7 * * * *"])
def test_a_schedule_owns_each_id_of_its_form(cron: str) -> None:
    """Whether the time is one of its own or not; a name that begins alike is another's."""
    one = schedule(cron)
    for run_id in (one.run_id(datetime(1999, 1, 1, tzinfo=UTC)), "nightly-20261130T0231Z", "nightly-99999999T9999Z"):
        assert one.owns(run_id)
    for run_id in ("nightly", "nightly-", "nightly-x-20261130T0230Z", "nightly-20261130T0230z", "x-20261130T0230Z"):
        assert not one.owns(run_id)
