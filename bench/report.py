"""`python -m bench.report`: tables and plots of what was measured, without measuring anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from bench import goals, plots
from bench.contenders import CONTENDERS
from bench.records import FILE, Record, Summary, read, summaries
from bench.servers import ROOT
from bench.sizes import RESULT_BYTES, SIZES
from bench.table import Row, most, multiple, of_other, spread, table, value, written

PAGE, FOLDER = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance"

#: The second page, on which the profiles and the parts of a job stand.
TRIED = ROOT / "docs" / "performance-tried.md"

_CPU = value("cpu_per_1000", spanned=True)


def report(records: Sequence[Record]) -> str:
    """All that was measured; a scenario without records is left out."""
    parts = [_head(records), "### Goals", goals.table(goals.goals(records)), *_bursts(records), *_paced(records)]
    return "\n\n".join([*parts, *_flights(records), *_others(records)])


def write(file: Path) -> None:
    """Tables into the page, plots beside it."""
    records = read(file)
    PAGE.write_text(written(PAGE.read_text(), report(records)))
    burst = summaries(records, "burst")
    if burst:
        plots.costs(FOLDER / "costs.svg", burst)
        plots.lateness(FOLDER / "lateness.svg", burst)
    if found := summaries(records, "in flight"):
        plots.flights(FOLDER / "in-flight.svg", found)


def _head(records: Sequence[Record]) -> str:
    last = records[-1]
    runs = max(record.run for record in records)
    size = "" if last.size == "full" else f" Sizes are `{last.size}`, to try the machinery: the figures mean nothing."
    what = f"Medians of {runs} runs, where *runs* does not say less" if runs > 1 else "One run"
    return f"{what}; in brackets the least and the most. {last.machine}. {last.versions}. {last.at}.{size}"


def _bursts(records: Sequence[Record]) -> list[str]:
    burst, kill, held = (summaries(records, scenario) for scenario in ("burst", "kill", "held"))
    if not burst:
        return []
    latency = SIZES[records[-1].size].latency_seconds
    killed_jobs = SIZES[records[-1].size].kill_jobs
    rows: list[Row] = [
        ("jobs", value("jobs", digits=0)),
        ("runs", lambda one: str(len(one.runs))),
        ("CPU-seconds per 1,000 jobs", _CPU),
        ("the same, as a multiple of plain", multiple("cpu_per_1000", burst.get("plain"))),
        ("Redis's CPU-seconds per 1,000 jobs", value("redis_cpu_per_1000")),
        ("jobs per second", value("jobs_per_second", digits=1)),
        ("peak memory, all processes [MB]", value("peak_bytes", scale=1e-6, digits=0)),
        ("polls per job", value("polls_per_job")),
        ("polls late by, p50 / p95 / p99 [s]", spread("late")),
        ("done until known, p50 / p95 / p99 [s]", spread("detection")),
        ("Redis per waiting job [kB]", of_other(held, _grown)),
        ("jobs lost / bought twice", lambda one: f"{most('lost')(one)} / {most('bought_twice')(one)}"),
        (f"after one SIGKILL, of {killed_jobs}: lost", of_other(kill, most("lost"))),
        ("answered that they may have been bought", of_other(kill, most("told_of_doubt"))),
        ("bought twice", of_other(kill, most("bought_twice"))),
        ("the provider's share of a core", value("provider_share")),
        ("the store's share of a core", value("store_share")),
        ("the machine's host kept, of a core", value("stolen_share")),
    ]
    each = f"Each takes {latency:g} s at the provider (within 30 %), and has a result of {RESULT_BYTES / 1000:g} kB."
    words = f"All jobs come at once. {each}"
    pictures = "![CPU of a job](performance/costs.svg)\n\n![How late polls are](performance/lateness.svg)"
    return ["### A burst", words, _who(burst), table(list(burst.values()), rows), pictures]


def _grown(one: Summary) -> str:
    """What a waiting job adds to Redis; a dash where what an earlier wave had left went away meanwhile."""
    figure = value("redis_bytes_per_waiting", scale=1e-3)(one)
    return "-" if figure.startswith("-") else figure


def _who(burst: Mapping[str, Summary]) -> str:
    """What the contenders are, in their own words."""
    known = ((name, CONTENDERS[name].__doc__ or "") for name in burst if name in CONTENDERS)
    return "\n".join(f"- **{name}**: {' '.join(words.split())}" for name, words in known)


def _paced(records: Sequence[Record]) -> list[str]:
    paced = summaries(records, "paced")
    if not paced:
        return []
    rows: list[Row] = [
        ("jobs", value("jobs", digits=0)),
        ("CPU-seconds per 1,000 jobs", _CPU),
        ("the same, as a multiple of plain", multiple("cpu_per_1000", paced.get("plain"))),
        ("polls per job", value("polls_per_job")),
        ("polls late by, p50 / p95 / p99 [s]", spread("late")),
        ("done until known, p50 / p95 / p99 [s]", spread("detection")),
        ("jobs lost", most("lost")),
        ("the last submit behind its time [s]", value("submits_behind")),
    ]
    poll_timing = SIZES[records[-1].size]
    words = f"{poll_timing.paced_per_second:g} jobs a second come for {poll_timing.paced_seconds:g} s, one by one."
    return ["### At a steady pace", words, table(list(paced.values()), rows)]


def _flights(records: Sequence[Record]) -> list[str]:
    found = list(summaries(records, "in flight").values())
    if not found:
        return []
    rows: list[Row] = [
        ("runs", lambda one: str(len(one.runs))),
        ("jobs in flight, at most at once", value("in_flight_most", digits=0)),
        ("seconds at the provider, mean", value("latency_seconds", digits=0)),
        ("longest pause between two polls [s]", value("cap_seconds", digits=0)),
        ("polls per job", value("polls_per_job")),
        ("polls late by, p50 / p95 / p99 [s]", spread("late")),
        ("done until known, p50 / p95 / p99 [s]", spread("detection")),
        ("the same, as the schedule alone implies", spread("implied")),
        ("jobs never known to be done", most("undetected")),
        ("CPU-seconds per 1,000 polls", value("cpu_per_1000_polls", spanned=True)),
        ("peak memory, all processes [MB]", value("peak_bytes", scale=1e-6, digits=0)),
        ("the provider's share of a core", value("provider_share")),
        ("Redis's share of a core", value("redis_share")),
        ("cores in use, by all together, the bench and the machine's host too", value("machine_share")),
        ("of them the host's", value("stolen_share")),
        ("results stored by then", value("stored", digits=0)),
    ]
    picture = "![Cost and lateness against jobs in flight](performance/in-flight.svg)"
    return ["### In flight", table(found, rows), picture]


def _others(records: Sequence[Record]) -> list[str]:
    lines = []
    if one := summaries(records, "waiting").get("bide"):
        lines.append(
            f"**Waiting**: {_figure(one, 'jobs', 1, 0)} jobs took {_figure(one, 'redis_bytes', 1e-6, 0)} MB of Redis "
            f"(used_memory), {_figure(one, 'redis_bytes_per_waiting', 1e-3)} kB a job of data; worker and poller "
            f"together grew by {_figure(one, 'process_bytes', 1e-6, 1)} MB."
        )
    if one := summaries(records, "start").get("bide"):
        lines.append(
            f"**Start**: {_figure(one, 'jobs', 1, 0)} jobs one by one on an idle system. From `Client.submit` to the "
            f"intent to buy in the ledger {_milliseconds(one, 'step')}; to the request at the provider "
            f"{_milliseconds(one, 'arrival')}."
        )
    if one := summaries(records, "film").get("bide"):
        what = "arrived whole" if one.median("arrived") else "did not arrive"
        lines.append(
            f"**A video** of {_figure(one, 'bytes', 1e-6, 0)} MB {what}; the worker held "
            f"{_figure(one, 'peak_bytes', 1e-6, 0)} MB at most, all of Python included."
        )
    return ["### Waiting, starting, and a large result", *lines] if lines else []


def _figure(one: Summary, name: str, scale: float, digits: int = 2) -> str:
    return value(name, scale=scale, digits=digits)(one)


def _milliseconds(one: Summary, name: str) -> str:
    middle, slow = (_figure(one, f"{name}_{part}", 1000, 0) for part in ("p50", "p95"))
    return f"{middle} ms (p50), {slow} ms (p95)"


@click.command()
@click.option("--write", "to_page", is_flag=True, help="Write docs/performance.md and its plots.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), default=FILE, show_default=True)
def main(*, to_page: bool, file: Path) -> None:
    """Show what the records say."""
    click.echo(report(read(file)))
    if to_page:
        write(file)


if __name__ == "__main__":
    main()
