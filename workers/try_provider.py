"""One real job with a provider's file, by hand: `python -m workers.try_provider`. Each exchange is shown, no secret is.

It stands beside the machinery: no ledger, no worker, no store. What it buys is known to the provider and to who looks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import click

from bide.cli.output import PrintableErrors, echo
from bide.cli.trial_input import account_of, prefix_of, submission_of
from bide.cli.trial_output import show_answer, show_call, show_outcome
from bide.errors import BideError, PollFailedError, SubmissionUnknownError
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Failed,
    FetchNow,
    Finished,
    JobOutcome,
    KeyTaken,
    Media,
    MediaKind,
    Provider,
    Refused,
    Running,
    Submission,
    SubmitOutcome,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.providers.declared.recording import Recorder
from bide.providers.declared.samples import described
from bide.providers.declared.trial import adapter_of
from bide.providers.masking import hidden
from workers.io.destination import confined
from workers.io.http import HttpClient
from workers.io.media import download
from workers.io.origin import OriginHeaders
from workers.services.event_loop import EventLoop

#: The most of an output that is saved [bytes].
SAVED_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Downloads:
    """The folder that outputs are saved to (None: they are only shown), and how a worker would fetch them."""

    folder: Path | None
    allowed_hosts: tuple[str, ...]
    kinds: frozenset[MediaKind]
    own_headers: OriginHeaders


@dataclass(frozen=True)
class Trial:
    """One job: its adapter and account, and what it speaks by."""

    adapter: Provider
    account: Account
    http: HttpClient
    event_loop: EventLoop
    recorder: Recorder | None = None

    def submit(self, submission: Submission, call: Call) -> SubmitOutcome:
        """The one request that buys; raises `SubmissionUnknownError` where nobody knows."""
        answer = self._exchange(call, buys=True)
        outcome = self.adapter.submit_outcome(answer, submission, self.account)
        self._show(answer, lambda: outcome, None)
        return outcome

    def wait(self, ticket: Ticket, estimate_seconds: float | None) -> JobOutcome:
        """Polls until the job has ended or its deadline has passed."""
        adapter, began = self.adapter, time.monotonic()
        plan, polls = adapter.plan_for(ticket.operation), 0
        pause = plan.first(estimate_seconds=estimate_seconds)
        while True:
            echo(f"-- waiting {pause:.1f} s")
            time.sleep(pause)
            outcome, polls = self._poll(ticket), polls + 1
            waited = time.monotonic() - began
            if isinstance(outcome, Unknown) and not ticket.seen and waited < adapter.unknown_grace_seconds:
                outcome = None
            if isinstance(outcome, Running):
                ticket = replace(ticket, cursor=outcome.cursor or ticket.cursor, seen=True)
            elif outcome is not None:
                return outcome
            if waited > adapter.deadline_for(ticket.operation):
                raise click.ClickException(f"the deadline passed; {_known_as(ticket)}")
            pause = plan.after(polls, retry_after_seconds=outcome.after_seconds if outcome else None)

    def _poll(self, ticket: Ticket) -> JobOutcome | None:
        """How the job stands; None where the asking failed."""
        try:
            while True:
                answer = self._exchange(self.adapter.poll_call(ticket, self.account), buys=False)
                asked = partial(self.adapter.poll_outcome, answer, ticket, self.account)
                self._show(answer, asked, ticket)
                if not isinstance(outcome := asked(), FetchNow):
                    return outcome
                ticket = replace(ticket, cursor=outcome.cursor)
        except PollFailedError as error:
            echo(f"   the poll failed: {hidden(str(error), self.account)}")
            return None

    def _show(self, answer: Answer, ask: Callable[[], object], ticket: Ticket | None) -> None:
        """What an answer comes to, in a line; where samples are recorded, its sample."""
        came = described(ask)
        show_outcome(came, self.account)
        if self.recorder and (file := self.recorder.keep(answer, came, ticket)):
            echo(f"   recorded: {file}")

    def _exchange(self, call: Call, *, buys: bool) -> Answer:
        if not buys:  # that one was shown before it was confirmed
            show_call(call, self.account)
        answer = self.event_loop.run(self.http.call(confined(call, self.adapter, self.account), buys=buys))
        show_answer(answer, self.account)
        return answer

    def save(self, outputs: tuple[Media, ...], downloads: Downloads) -> None:
        """Show the outputs, and save them where a folder is named."""
        for number, media in enumerate(outputs):
            where = media.url or f"{len(media.content)} bytes inside the answer"
            echo(f"output {number}: {media.role} {hidden(where, self.account)}")
            if downloads.folder is not None:
                self._save(media, f"{downloads.folder}/{number}", downloads)

    def _save(self, media: Media, place: str, downloads: Downloads) -> None:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        fetched = self.event_loop.run(
            download(
                self.http,
                media,
                max_bytes=SAVED_BYTES,
                allowed_hosts=downloads.allowed_hosts,
                kinds=downloads.kinds,
                own_headers=downloads.own_headers,
            )
        )
        with fetched:
            file = Path(f"{place}.{fetched.ext.removeprefix('.')}")
            file.write_bytes(fetched.read())
        echo(f"  saved: {file}, {fetched.content_type}, {fetched.size} bytes")


@click.command(cls=PrintableErrors)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--operation")
@click.option("--params", default="{}")
@click.option("--input", "inputs", multiple=True)
@click.option("--save", type=click.Path(path_type=Path))
@click.option("--record", type=click.Path(path_type=Path))
@click.option("--job")
@click.option("--yes", is_flag=True)
def main(
    file: Path,
    operation: str | None,
    params: str,
    inputs: tuple[str, ...],
    save: Path | None,
    record: Path | None,
    job: str | None,
    yes: bool,
) -> None:
    """Make one job, or go on with one, and show each exchange."""
    try:
        adapter = adapter_of(file)
        account, hosts = account_of(adapter)
        submission = submission_of(adapter, operation, params, inputs)
        headers = OriginHeaders(account.base_url, adapter.media_headers(account))
        downloads = Downloads(save, hosts, adapter.operations[submission.operation].kinds, headers)
        recorder = Recorder(record, submission.operation, account) if record else None
        if job:
            with _trial(adapter, account, recorder) as trial:
                _follow(trial, Ticket(submission.operation, job, version=adapter.version), None, downloads)
            return
        adapter.check(submission.operation, submission.params, set(submission.inputs))
        call = adapter.submit_call(submission, account)
        _ask(adapter, submission, call, account, yes=yes)
        with _trial(adapter, account, recorder) as trial:
            _run(trial, submission, call, downloads)
    except BideError as error:
        raise click.ClickException(str(error)) from None


def _ask(adapter: Provider, submission: Submission, call: Call, account: Account, *, yes: bool) -> None:
    show_call(call, account)
    costs = "it costs what the provider takes" if adapter.operations[submission.operation].buys else "it is free"
    if not yes:
        click.confirm(f"Send this to {adapter.name}? {costs}", abort=True)


def _run(trial: Trial, submission: Submission, call: Call, downloads: Downloads) -> None:
    try:
        outcome = trial.submit(submission, call)
    except SubmissionUnknownError as error:
        _end(
            trial,
            f"nobody knows whether it was accepted, and may be paid for: {error}; look at the provider's own list",
        )
    if isinstance(outcome, Refused):
        _end(trial, f"refused: {outcome.message}")
    if isinstance(outcome, KeyTaken):
        _end(trial, f"a job may exist under this key, and may be paid for: {outcome.message}")
    if isinstance(outcome, Finished) and outcome.outputs:
        trial.save(outcome.outputs, downloads)
        return
    ticket = Ticket(submission.operation, outcome.provider_job_id, handle=outcome.handle, version=trial.adapter.version)
    _follow(trial, ticket, None if isinstance(outcome, Finished) else outcome.estimate_seconds, downloads)


def _follow(trial: Trial, ticket: Ticket, estimate_seconds: float | None, downloads: Downloads) -> None:
    """To the end of a job that was bought; whatever comes, its id is named."""
    try:
        ended = trial.wait(ticket, estimate_seconds)
        if isinstance(ended, Succeeded):
            trial.save(ended.outputs, downloads)
    except KeyboardInterrupt:
        _end(trial, f"left; {_known_as(ticket)}")
    except BideError as error:
        hosts_setting = f"{prefix_of(trial.adapter)}MEDIA_HOSTS"
        _end(trial, f"{str(error).replace('MEDIA_HOSTS', hosts_setting)}; {_known_as(ticket)}")
    if isinstance(ended, Failed | Unknown):
        _end(trial, f"{type(ended).__name__.lower()}: {ended.reason}; {_known_as(ticket)}")


def _known_as(ticket: Ticket) -> str:
    return f"the provider knows the job as {ticket.provider_job_id}: --job asks for it again, and buys nothing"


def _end(trial: Trial, message: str) -> NoReturn:
    raise click.ClickException(hidden(message, trial.account))


@contextmanager
def _trial(adapter: Provider, account: Account, recorder: Recorder | None) -> Iterator[Trial]:
    event_loop = EventLoop()

    async def client() -> HttpClient:
        return HttpClient()

    http = event_loop.run(client())
    try:
        yield Trial(adapter, account, http, event_loop, recorder)
    finally:
        event_loop.run(http.aclose())
        event_loop.stop()


if __name__ == "__main__":
    sys.exit(main(prog_name="bide providers try"))
