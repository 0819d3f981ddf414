"""The pure parts of the bench: what it makes of the times it noted, and the page it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.contenders import CONTENDERS
from bench.figures import Spread, Values, detection, lateness, most_at_once, spread
from bench.goals import goals
from bench.in_flight import implied_delay
from bench.plan import EXTRA, expected_seconds, plan
from bench.proc import ticks
from bench.profile_areas import REST, area_of, shares
from bench.records import Record, Summary, keep, put_aside, read, summaries
from bench.report import report
from bench.sizes import ONE_POLLER, SIZES, TWO_POLLERS
from bench.table import BEGIN, END, multiple, table, value, written
from bide.polling.backoff import PollPlan
from bide.polling.timing import PollTiming


def test_a_spread_tells_the_middle_the_slow_and_the_slowest() -> None:
    """Each percentile lies between the two nearest values."""
    spread = Spread.of([float(value) for value in reversed(range(100))])

    assert spread == Spread(p50=49.5, p95=94.05, p99=98.01, max=99.0)


def test_nothing_measured_has_no_spread() -> None:
    """A contender without values shows a dash, not a zero."""
    assert Spread.of([]) is None


def test_a_poll_is_late_by_the_due_time_it_answers() -> None:
    """Each poll belongs to the last due time before it; a claim's far time in between belongs to none."""
    dues = {"job": [10.0, 15.0, 90.0]}

    late = lateness(dues, {"job": [(10.25, False), (16.0, True)]})

    assert late == [0.25, 1.0]


def test_a_poll_nobody_planned_is_left_out() -> None:
    """A second poll for one due time would count as late by the whole pause between them."""
    assert lateness({"job": [10.0]}, {"job": [(10.5, False), (14.0, True)], "other": [(3.0, True)]}) == [0.5]


def test_detection_runs_from_done_to_the_first_poll_that_finds_it() -> None:
    """Polls before and after that one change nothing, and jobs without a poll that found them done have no delay."""
    done = {"job": 7.0, "unpolled": 5.0}

    delays = detection(done, {"job": [(2.0, False), (9.0, True), (12.0, True)], "unpolled": [(2.0, False)]})

    assert delays == [2.0]


def test_ticks_are_found_behind_a_name_with_brackets() -> None:
    """A process may call itself `a) (b`; utime, stime, cutime and cstime are the fields 14 to 17."""
    stat = "12 (a) (b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 0 0"

    assert ticks(stat) == 127


def test_the_table_compares_with_its_first_column() -> None:
    """Twice the CPU of the first contender reads 2.00; what was not measured is a dash."""
    plain, bide = (Summary(name, [{"cpu_per_1000": cpu}]) for name, cpu in (("plain", 4.0), ("bide", 8.0)))

    text = table([plain, bide], [("CPU", value("cpu_per_1000")), ("times", multiple("cpu_per_1000", plain))])

    assert "| CPU | 4.00 | 8.00 |" in text
    assert "| times | 1.00 | 2.00 |" in text
    assert value("polls_per_job")(bide) == "-"


def test_medians_are_shown_with_the_least_and_the_most() -> None:
    """Three runs show the middle one, and how far the others lie from it."""
    one = Summary("bide", [{"cpu_per_1000": cpu} for cpu in (21.0, 27.0, 22.0)])

    assert value("cpu_per_1000", digits=0, spanned=True)(one) == "22 (21 to 27)"


def test_records_outlive_a_run_that_is_cut_short(tmp_path: Path) -> None:
    """Half a line is left out, the later of two records for the same turn counts, and a new run starts a new file."""
    file = tmp_path / "bench" / "records.jsonl"
    keep(_record("burst", "bide", {"cpu_per_1000": 1.0}), file)
    keep(_record("burst", "bide", {"cpu_per_1000": 2.0}), file)
    with file.open("a") as lines:
        lines.write('{"scenario": "bur')

    assert [record.values for record in read(file)] == [{"cpu_per_1000": 2.0}]
    put_aside(file)
    assert read(file) == []


def test_of_several_takes_the_least_disturbed_counts(tmp_path: Path) -> None:
    """Whichever came first; whether a turn is taken again is decided by what the host kept, not by its figures."""
    file = tmp_path / "records.jsonl"
    for cpu, stolen in ((5.0, 0.3), (9.0, 0.05), (1.0, 0.11)):
        keep(_record("burst", "bide", {"cpu_per_1000": cpu, "stolen_share": stolen}), file)

    (kept,) = read(file)

    assert (kept.values["cpu_per_1000"], kept.disturbed) == (9.0, False)
    assert _record("burst", "bide", {"stolen_share": 0.11}).disturbed
    assert not _record("kill", "bide", {}).disturbed


def test_runs_of_a_contender_are_one_summary() -> None:
    """Only the scenario that is asked for counts."""
    records = [_record("burst", "bide", {"lost": float(run)}, run=run) for run in (1, 2)]

    found = summaries([*records, _record("kill", "bide", {"lost": 9.0})], "burst")

    assert [run["lost"] for run in found["bide"].runs] == [1.0, 2.0]


def test_what_was_not_measured_is_no_goal_reached() -> None:
    """Without records every goal reads as not measured."""
    assert {goal.reached for goal in goals([])} == {None}


def test_goals_are_judged_by_the_figures() -> None:
    """A multiple of the script's CPU is judged, the cheapest of the other queues is named, late polls fail."""
    cpu = {"plain": 7.0, "bide": 14.0, "naive": 50.0, "arq": 21.0, "dramatiq": 60.0}
    bursts = [_record("burst", name, {"cpu_per_1000": each}) for name, each in cpu.items()]
    flight = {"late_p95": 1.5, "undetected": 0.0, "in_flight_most": 20000.0, "detection_mean": 4.2, "implied_mean": 4.0}

    found = goals([*bursts, _record("in flight", ONE_POLLER, dict(flight))])

    assert [goal.reached for goal in found] == [False, None, True, None, False, True, None, None, None, None]
    assert found[2].measured == "0.67 times the cost of arq"
    assert found[5].measured == "4.20 s, implied 4.00 s: +5%"


def test_one_cheaper_queue_is_enough_to_miss_the_goal() -> None:
    """Celery's own variants and the script are no queues to undercut; the two scenarios are judged by themselves."""
    cpu = {"plain": 1.0, "bide": 14.0, "blocking": 2.0, "huey": 20.0, "taskiq": 13.0}
    paced = [_record("paced", name, {"cpu_per_1000": each}) for name, each in cpu.items()]

    found = goals(paced)

    assert [goal.reached for goal in found[:4]] == [None, False, None, False]
    assert found[3].measured == "1.08 times the cost of taskiq"


def test_a_report_shows_what_there_is() -> None:
    """One contender in one scenario is a page already, and a try of small size says that it means nothing."""
    text = report([_record("burst", "plain", {"cpu_per_1000": 7.0, "jobs": 30.0}, size="tiny")])

    assert "| CPU-seconds per 1,000 jobs | 7.00 |" in text
    assert "the figures mean nothing" in text
    assert "### In flight" not in text


def test_what_no_goal_speaks_of_is_taken_once() -> None:
    """A second run has the contenders that goals compare, in both timed scenarios, and the flight of two pollers."""
    turns = plan(["plain", "bide", "naive", "arq"], SIZES["full"])

    again = [turn for turn in turns if turn.runs_in(2)]

    assert {(turn.contender, turn.scenarios) for turn in again} == {
        *((name, ("burst", "paced")) for name in ("plain", "bide", "arq")),
        (TWO_POLLERS, ("in flight",)),
    }
    once, twice = (expected_seconds(turns, runs) for runs in (1, 2))
    assert twice - once == pytest.approx(sum(turn.seconds for turn in again))


def test_the_whole_bench_takes_45_minutes_at_most() -> None:
    """It says so before it begins; every contender counts, also where its libraries are not installed here."""
    turns = plan([name for name in CONTENDERS if name not in EXTRA], SIZES["full"])

    assert expected_seconds(turns, 3) <= 45 * 60


def test_a_scenario_may_be_taken_by_itself() -> None:
    """One that shares its processes with another is taken without it, and by name all flights are taken."""
    paced = plan(["plain", "bide"], SIZES["full"], ["paced"])
    flights = plan(["bide"], SIZES["full"], ["in flight"])

    assert [(turn.contender, turn.scenarios) for turn in paced] == [("plain", ("paced",)), ("bide", ("paced",))]
    assert [turn.contender for turn in flights] == [variant for variant, _ in SIZES["full"].flights]


def test_the_schedule_alone_implies_a_delay() -> None:
    """Polls after 2, 6 and 14 s find a job of 10 s four seconds after its end, within their jitter of a tenth."""
    assert implied_delay(PollTiming(PollPlan(2.0, 2.0, 60.0)), 10.0) == pytest.approx(4.0, abs=1.4)


def test_spans_are_counted_where_they_lie_over_each_other() -> None:
    """A span that begins where another ends does not lie over it."""
    assert most_at_once([(0.0, 2.0), (1.0, 3.0), (2.0, 4.0)]) == 2


def test_a_spread_without_values_says_so() -> None:
    """All its figures are there, and none has a value."""
    assert set(spread("late", []).values()) == {None}


def test_a_sample_belongs_to_the_nearest_area() -> None:
    """The standard library works for its caller; what has no caller is the rest."""
    put = "run (/app/tasks/store.py:9);put (/v/botocore/client.py:1);read (/usr/lib/python3/ssl.py:5)"
    script = "step (/app/bide/ledger/ledger.py:3);send (/v/redis/connection.py:1)"

    assert area_of(put) == "boto3: two puts a job"
    assert area_of(script) == "the ledger"
    assert area_of("wait (/usr/lib/python3/threading.py:1)") == REST
    assert shares([f"{put} 3", f"{script} 1", "no sample"]) == {"boto3: two puts a job": 0.75, "the ledger": 0.25}


def test_a_page_keeps_what_stands_around_the_figures() -> None:
    """Only what is between the two lines is replaced."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert written(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_its_lines_is_not_overwritten() -> None:
    """A missing line is named, and nothing is guessed."""
    with pytest.raises(ValueError, match="no lines"):
        written(f"before\n{BEGIN}\n", "new")


def _record(scenario: str, contender: str, values: Values, *, run: int = 1, size: str = "full") -> Record:
    return Record(scenario, contender, run, size, values, at="2026-01-01", machine="2 cores", versions="Python 3.11")
