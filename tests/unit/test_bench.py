"""The pure parts of the bench: what it makes of the times it noted, and the page it writes."""

from __future__ import annotations

import pytest

from bench.figures import Figures, Spread, detection, lateness
from bench.proc import ticks
from bench.table import BEGIN, END, table, written


def test_a_spread_tells_the_middle_the_slow_and_the_slowest() -> None:
    """The 95th percentile of a hundred values is the 96th in order, the middle lies between the 50th and the 51st."""
    spread = Spread.of([float(value) for value in reversed(range(100))])

    assert spread == Spread(p50=49.5, p95=95.0, max=99.0)


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


def test_detection_runs_from_done_to_the_first_poll_that_is_told() -> None:
    """Polls before and after that one change nothing, and jobs that were never told have no delay."""
    done = {"job": 7.0, "untold": 5.0}

    delays = detection(done, {"job": [(2.0, False), (9.0, True), (12.0, True)], "untold": [(2.0, False)]})

    assert delays == [2.0]


def test_ticks_are_found_behind_a_name_with_brackets() -> None:
    """A process may call itself `a) (b`; utime, stime, cutime and cstime are the fields 14 to 17."""
    stat = "12 (a) (b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 0 0"

    assert ticks(stat) == 127


def test_the_table_compares_with_its_first_column() -> None:
    """Twice the CPU of the first contender reads 2.00."""
    text = table([_figures("plain", cpu_seconds=2.0), _figures("bide", cpu_seconds=4.0)])

    assert "| CPU-seconds per 1,000 jobs | 4.00 | 8.00 |" in text
    assert "| the same, as a multiple of plain | 1.00 | 2.00 |" in text


def test_a_page_keeps_what_stands_around_the_figures() -> None:
    """Only what is between the two lines is replaced."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert written(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_its_lines_is_not_overwritten() -> None:
    """A missing line is said, and nothing is guessed."""
    with pytest.raises(ValueError, match="no lines"):
        written(f"before\n{BEGIN}\n", "new")


def _figures(name: str, *, cpu_seconds: float) -> Figures:
    return Figures(
        name=name,
        jobs=500,
        cpu_seconds=cpu_seconds,
        redis_cpu_seconds=0.5,
        wall_seconds=30.0,
        polls=2000,
        late=None,
        detection=None,
        redis_bytes_per_waiting=None,
        resident_bytes_per_waiting=None,
        lost=0,
        bought_twice=0,
    )
