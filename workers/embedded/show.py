"""What a person sees of a demo: a live table on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bide.cli.bulk_show import line
from bide.contract import JobState
from bide.printable import printable
from workers.embedded.demo_bulk import DemoBulk
from workers.embedded.demo_status import JobStatus

_COLOURS = {
    JobState.QUEUED: "dim",
    JobState.SUBMITTING: "yellow",
    JobState.RUNNING: "cyan",
    JobState.STORING: "blue",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELED: "red",
    JobState.UNCONFIRMED: "red",
}


class Show(Protocol):
    """Shows the jobs and the bulk run after each read of their states."""

    def update(self, jobs: Sequence[JobStatus], bulk: DemoBulk, changed: Sequence[JobStatus | DemoBulk]) -> None: ...


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def update(self, jobs: Sequence[JobStatus], bulk: DemoBulk, changed: Sequence[JobStatus | DemoBulk]) -> None:
        over = f"[{sum(job.over for job in jobs)}/{len(jobs)}]"
        for each in changed:
            words = f"bulk  {line(each.progress)}" if isinstance(each, DemoBulk) else f"{over}  {_in_words(each)}"
            self._console.print(f"{each.seconds:5.1f} s  {words}", highlight=False, markup=False, soft_wrap=True)


def _in_words(job: JobStatus) -> str:
    polls = f", {job.status.polls} polls" if job.status and job.status.polls else ""
    return f"{job.job.label}: {job.state}{polls}"


class _Table:
    def __init__(self, live: Live) -> None:
        self._live = live
        self._spinners: dict[str, Spinner] = {}

    def update(self, jobs: Sequence[JobStatus], bulk: DemoBulk, changed: Sequence[JobStatus | DemoBulk]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for name in ("", "job", "state", "polls", "time", "provider says"):
            table.add_column(name, no_wrap=True)
        for job in jobs:
            self._add(table, job)
        if bulk.progress:
            self._add_bulk(table, bulk)
        self._live.update(table)

    def _add_bulk(self, table: Table, bulk: DemoBulk) -> None:
        now = bulk.progress
        bar = ProgressBar(total=now["rows"], completed=now["done"], width=12)
        done = f"{now['done']}/{now['rows']}"
        sign = self._sign(bulk.run_id, over=bulk.over, succeeded=bulk.succeeded)
        table.add_row(sign, f"bulk run of {now['rows']} rows", bar, done, f"{bulk.seconds:.1f} s", _bulk_note(bulk))

    def _add(self, table: Table, job: JobStatus) -> None:
        note = job.status.note if job.status and not job.over else ""
        polls = str(job.status.polls) if job.status else "0"
        state = f"[{_COLOURS[job.state]}]{job.state}[/]"
        sign = self._sign(job.job_id, over=job.over, succeeded=job.succeeded)
        table.add_row(sign, job.job.label, state, polls, f"{job.seconds:.1f} s", Text(printable(note[:30])))

    def _sign(self, name: str, *, over: bool, succeeded: bool) -> Spinner | str:
        if over:
            return "[green]✓[/]" if succeeded else "[red]✗[/]"
        return self._spinners.setdefault(name, Spinner("dots", style="cyan"))


def _bulk_note(bulk: DemoBulk) -> str:
    if bulk.over or bulk.progress["done"] < bulk.progress["rows"]:
        return f"{bulk.progress['in_flight']} in flight" if bulk.progress["in_flight"] else ""
    return "writing its contact sheet"


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """A live table where the console is a terminal, else lines."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield _Table(live)
