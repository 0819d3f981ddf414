"""Waiting for a job at a terminal: one line that lives, and what to do next where the wait is given up."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from bide.cli.output import echo, redraw

if TYPE_CHECKING:
    from bide.client import Client
    from bide.contract import JobResult
    from bide.ledger import Ledger
    from bide.ledger.snapshot import JobSnapshot

#: Time between two lines of a waiting command [seconds].
LINE_SECONDS = 0.5

#: The most that the line shows of the provider's answer [characters].
ANSWER_CHARACTERS = 60

#: The exit code of a command that Ctrl-C ended, as shells have it.
INTERRUPTED = 130


def awaited(client: Client, ledger: Ledger, job_id: str, *, timeout_seconds: float | None = None) -> JobResult:
    """The result of a job; shows its state meanwhile where standard error is a terminal.

    Raises `JobFailed`, and `TimeoutError` after `timeout_seconds`. Ctrl-C ends the command, not the job.
    """
    try:
        if sys.stderr.isatty():
            return _shown(client, ledger, job_id, timeout_seconds)
        return client.wait(job_id, timeout_seconds=timeout_seconds)
    except KeyboardInterrupt:
        advice = f"`bide wait {job_id}` waits again, `bide explain {job_id}` tells where it stands"
        echo(f"job {job_id} goes on: {advice}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


def _shown(client: Client, ledger: Ledger, job_id: str, timeout_seconds: float | None) -> JobResult:
    until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    try:
        while True:
            redraw(progress_of(ledger, job_id), last=False, err=True)
            with suppress(TimeoutError):
                return client.wait(job_id, timeout_seconds=LINE_SECONDS)
            if time.monotonic() >= until:
                raise TimeoutError(f"job {job_id} has not ended within {timeout_seconds:g} s; it goes on")
    finally:
        redraw("", last=False, err=True)


def progress_of(ledger: Ledger, job_id: str) -> str:
    """One line: how long the job has taken, its state, its progress, its next poll, and the provider's last answer."""
    from bide.ledger.snapshot import take_snapshot  # noqa: PLC0415 - Redis takes a while, and --help does not need it

    record = ledger.jobs.find(job_id)
    if record and record.following:
        record = ledger.jobs.read(record.account, record.following)
    return _progress(take_snapshot(ledger, record)) if record else "no worker has opened the job yet"


def _progress(snapshot: JobSnapshot) -> str:
    from bide.ledger import timeline  # noqa: PLC0415 - pydantic takes a while, and --help does not need it

    record = snapshot.record
    parts = [f"{snapshot.now - record.number('created'):.0f} s", record.text("state")]
    if record.text("state") == "queued":
        parts.append(timeline.why(snapshot)[0])
    elif snapshot.clock == "due":
        parts += [str(record.progress)] if record.progress else []
        parts.append(f"polled again in {max(snapshot.score - snapshot.now, 0.0):.0f} s")
        parts += [f"the provider says: {record.text('note')}"] if record.text("note") else []
    return "  ".join(shorten(part, ANSWER_CHARACTERS, placeholder=" …") for part in parts)
