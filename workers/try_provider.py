"""One real job with a provider's file, by hand: `python -m workers.try_provider`. Each exchange is shown, no secret is.

It stands beside the machinery: no ledger, no worker, no store. What it buys is known to the provider and to who looks.
"""

from __future__ import annotations

import json
import mimetypes
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import click

from bide.cli.connection import read_environment
from bide.cli.output import PrintableErrors, echo
from bide.errors import AccountRefusedError, BideError, PollFailedError, SubmissionUnknownError
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Failed,
    FetchNow,
    Finished,
    InputForm,
    JobOutcome,
    KeyTaken,
    Media,
    Provider,
    Refused,
    Running,
    Submission,
    SubmitOutcome,
    Succeeded,
    Ticket,
    Unknown,
    Upload,
)
from bide.providers.declared.trial import adapter_of
from bide.providers.masking import hidden
from workers.io.destination import confined
from workers.io.http import HttpClient
from workers.io.media import download
from workers.services.event_loop import EventLoop

#: The most of a body that is shown [characters], and of an output that is saved [bytes].
SHOWN_CHARACTERS, SAVED_BYTES = 4000, 512 * 1024 * 1024


@dataclass(frozen=True)
class Trial:
    """One job: its adapter and account, and what it speaks by."""

    adapter: Provider
    account: Account
    http: HttpClient
    event_loop: EventLoop

    def submit(self, submission: Submission, call: Call) -> SubmitOutcome:
        """The one request that buys; raises `SubmissionUnknownError` where nobody knows."""
        return self.adapter.submit_outcome(self._exchange(call, buys=True), submission, self.account)

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
                raise click.ClickException(
                    f"the deadline passed; the provider knows the job as {ticket.provider_job_id}"
                )
            pause = plan.after(polls, retry_after_seconds=outcome.after_seconds if outcome else None)

    def _poll(self, ticket: Ticket) -> JobOutcome | None:
        """How the job stands; None where the asking failed."""
        try:
            while True:
                answer = self._exchange(self.adapter.poll_call(ticket, self.account), buys=False)
                outcome = self.adapter.poll_outcome(answer, ticket, self.account)
                echo(f"   {shown(outcome, self.account)}")
                if not isinstance(outcome, FetchNow):
                    return outcome
                ticket = replace(ticket, cursor=outcome.cursor)
        except PollFailedError as error:
            echo(f"   the poll failed: {hidden(str(error), self.account)}")
            return None

    def _exchange(self, call: Call, *, buys: bool) -> Answer:
        if not buys:  # that one was shown before it was confirmed
            show_call(call, self.account)
        answer = self.event_loop.run(self.http.call(confined(call, self.adapter, self.account), buys=buys))
        show_answer(answer, self.account)
        return answer

    def save(self, outputs: tuple[Media, ...], folder: Path | None, hosts: tuple[str, ...]) -> None:
        """Show the outputs, and save them where a folder is named."""
        for number, media in enumerate(outputs):
            where = media.url or f"{len(media.content)} bytes inside the answer"
            echo(f"output {number}: {media.role} {hidden(where, self.account)}")
            if folder is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            kinds = frozenset(kind for operation in self.adapter.operations.values() for kind in operation.kinds)
            fetched = self.event_loop.run(
                download(self.http, media, max_bytes=SAVED_BYTES, allowed_hosts=hosts, kinds=kinds)
            )
            with fetched:
                file = folder / f"{number}{fetched.ext if fetched.ext.startswith('.') else f'.{fetched.ext}'}"
                file.write_bytes(fetched.read())
            echo(f"  saved: {file}, {fetched.content_type}, {fetched.size} bytes")


def show_call(call: Call, account: Account) -> None:
    """A request, with its secrets starred out, and files as their sizes."""
    query = f"?{'&'.join(f'{name}={value}' for name, value in call.query.items())}" if call.query else ""
    echo(hidden(f"-> {call.method} {call.url}{query}", account))
    for name, value in call.headers.items():
        echo(hidden(f"   {name}: {value}", account))
    if call.json is not None:
        echo(f"   {hidden(_cut(json.dumps(call.json, ensure_ascii=False)), account)}")
    for name, part in (call.form or {}).items():
        value = part if isinstance(part, str) else f"{part[0]}, {part[2]}, {len(part[1])} bytes"
        echo(hidden(f"   {name} = {_cut(value)}", account))


def show_answer(answer: Answer, account: Account) -> None:
    """An answer, likewise: providers quote back what they got."""
    kind = answer.headers.get("content-type", "")
    echo(f"<- HTTP {answer.status} {kind}", f"   {_cut(hidden(answer.body.decode(errors='replace'), account))}")


def shown(outcome: object, account: Account) -> str:
    """An outcome in a line."""
    return hidden(_cut(f"= {outcome}", 500), account)


def _cut(text: str, most: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


@click.command(cls=PrintableErrors)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--operation")
@click.option("--params", default="{}")
@click.option("--input", "inputs", multiple=True)
@click.option("--save", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True)
def main(file: Path, operation: str | None, params: str, inputs: tuple[str, ...], save: Path | None, yes: bool) -> None:
    """Make one job, and show what is said."""
    try:
        adapter = adapter_of(file)
        account, hosts = _account(adapter)
        submission = _submission(adapter, operation, params, inputs)
        adapter.check(submission.operation, submission.params, set(submission.inputs))
        call = adapter.submit_call(submission, account)
        _ask(adapter, submission, call, account, yes=yes)
        with _trial(adapter, account) as trial:
            _run(trial, submission, call, save, hosts)
    except BideError as error:
        raise click.ClickException(str(error)) from None


def _ask(adapter: Provider, submission: Submission, call: Call, account: Account, *, yes: bool) -> None:
    show_call(call, account)
    costs = (
        "this costs what the provider takes for it" if adapter.operations[submission.operation].buys else "it is free"
    )
    if not yes:
        click.confirm(f"Send this to {adapter.name}? {costs}", abort=True)


def _run(trial: Trial, submission: Submission, call: Call, save: Path | None, hosts: tuple[str, ...]) -> None:
    try:
        outcome = trial.submit(submission, call)
    except SubmissionUnknownError as error:
        _end(
            trial,
            f"nobody knows whether it was accepted, and may be paid for: {error}; look at the provider's own list",
        )
    echo(f"   {shown(outcome, trial.account)}")
    if isinstance(outcome, Refused):
        _end(trial, f"refused: {outcome.message}")
    if isinstance(outcome, KeyTaken):
        _end(trial, f"a job may exist under this key, and may be paid for: {outcome.message}")
    if isinstance(outcome, Finished) and outcome.outputs:
        trial.save(outcome.outputs, save, hosts)
        return
    job_id = outcome.provider_job_id
    ticket = Ticket(submission.operation, job_id, handle=outcome.handle, version=trial.adapter.version)
    try:
        estimate = None if isinstance(outcome, Finished) else outcome.estimate_seconds
        ended = trial.wait(ticket, estimate)
    except KeyboardInterrupt:
        _end(trial, f"left; the provider knows the job as {job_id}")
    except AccountRefusedError as error:
        _end(trial, f"{error}; the provider knows the job as {job_id}")
    if isinstance(ended, Failed | Unknown):
        _end(trial, f"{type(ended).__name__.lower()}: {ended.reason}")
    if isinstance(ended, Succeeded):
        trial.save(ended.outputs, save, hosts)


def _end(trial: Trial, message: str) -> NoReturn:
    raise click.ClickException(hidden(message, trial.account))


@contextmanager
def _trial(adapter: Provider, account: Account) -> Iterator[Trial]:
    event_loop = EventLoop()

    async def client() -> HttpClient:
        return HttpClient()

    http = event_loop.run(client())
    try:
        yield Trial(adapter, account, http, event_loop)
    finally:
        event_loop.run(http.aclose())
        event_loop.stop()


def _account(adapter: Provider) -> tuple[Account, tuple[str, ...]]:
    """The account of the environment, and its hosts of media; other settings are not read."""
    prefix, environment = f"BIDE_PROVIDERS__{adapter.name.upper()}__", read_environment()
    secrets = {name: environment.get(f"{prefix}{name.upper()}", "") for name in adapter.credentials}
    missing = [f"{prefix}{name.upper()}" for name, value in secrets.items() if not value]
    base_url = environment.get(f"{prefix}BASE_URL") or adapter.default_base_url
    if not base_url:
        missing.append(f"{prefix}BASE_URL")
    if missing or not base_url:
        raise click.ClickException(f"not set up: set {', '.join(missing)}")
    hosts = tuple(part.strip(' []"') for part in environment.get(f"{prefix}MEDIA_HOSTS", "").split(","))
    key = secrets.pop("api_key", "")
    return Account(base_url.rstrip("/"), key, secrets=secrets), tuple(filter(None, hosts))


def _submission(adapter: Provider, operation: str | None, params: str, inputs: tuple[str, ...]) -> Submission:
    operation = operation or (next(iter(adapter.operations)) if len(adapter.operations) == 1 else "")
    if operation not in adapter.operations:
        raise click.ClickException(f"--operation: {adapter.name} has {', '.join(adapter.operations)}")
    offered = adapter.operations[operation]
    given = dict(_upload(each, offered.inputs) for each in inputs)
    return Submission("try", operation, _params(params), given, key=str(uuid.uuid4()) if offered.idempotency else "")


def _params(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"--params: is neither JSON nor @FILE with JSON ({error})") from None
    if not isinstance(found, dict):
        raise click.ClickException("--params: is no JSON object")
    return found


def _upload(text: str, form: InputForm | None) -> tuple[str, Upload]:
    name, separator, place = text.partition("=")
    if not (name and separator and place):
        raise click.ClickException(f"--input {text}: is not of the form name=place")
    if form is InputForm.URL:
        return name, Upload(name, url=place)
    try:
        content = Path(place).read_bytes()
    except OSError as error:
        raise click.ClickException(f"--input {name}: {place} can't be read ({error.strerror})") from None
    return name, Upload(name, content, mimetypes.guess_type(place)[0] or "application/octet-stream")


if __name__ == "__main__":
    sys.exit(main(prog_name="bide providers try"))
