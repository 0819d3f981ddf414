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

from bide.contract import JobState
from workers.embedded.watch import Watched

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
    """Told about the jobs after each look."""

    def update(self, jobs: Sequence[Watched], changed: Sequence[Watched]) -> None: ...


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def update(self, jobs: Sequence[Watched], changed: Sequence[Watched]) -> None:
        over = sum(job.over for job in jobs)
        for job in changed:
            polls = f", {job.status.polls} polls" if job.status and job.status.polls else ""
            line = f"{job.seconds:5.1f} s  [{over}/{len(jobs)}]  {job.job.label}: {job.state}{polls}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class _Table:
    def __init__(self, live: Live) -> None:
        self._live = live
        self._spinners: dict[str, Spinner] = {}

    def update(self, jobs: Sequence[Watched], changed: Sequence[Watched]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for name in ("", "job", "state", "polls", "time", "provider says"):
            table.add_column(name, no_wrap=True)
        for job in (job for job in jobs if not job.job.batch):
            self._add(table, job)
        batch = [job for job in jobs if job.job.batch]
        done = sum(job.over for job in batch)
        bar = ProgressBar(total=len(batch), completed=done, width=12)
        table.add_row("", f"batch of {len(batch)} pictures", bar, f"{done}/{len(batch)}", "", "")
        self._live.update(table)

    def _add(self, table: Table, job: Watched) -> None:
        mark = self._spinners.setdefault(job.job_id, Spinner("dots", style="cyan"))
        note = job.status.note if job.status and not job.over else ""
        polls = str(job.status.polls) if job.status else "0"
        state = f"[{_COLOURS[job.state]}]{job.state}[/]"
        sign = mark if not job.over else "[green]✓[/]" if job.succeeded else "[red]✗[/]"
        table.add_row(sign, job.job.label, state, polls, f"{job.seconds:.1f} s", note[:30])


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """A live table where the console is a terminal, else lines."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield _Table(live)
