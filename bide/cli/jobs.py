"""Commands on jobs: submit, status, wait, cancel."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bide import strict_json
from bide.cli.advice import failure_line
from bide.cli.completion import complete_job, complete_operation, complete_provider
from bide.cli.connection import broker_option, connected, ledger_at
from bide.cli.ledgers import choose_job, choose_request, field
from bide.cli.output import echo, echo_json, echo_json_text
from bide.cli.waiting import awaited
from bide.inputs import is_address, tidied

if TYPE_CHECKING:
    from bide.client import Status
    from bide.contract import JobResult


class Pair(click.ParamType[tuple[str, Any]]):
    """`key=value`; a value that is JSON is read as such, any other is text."""

    name = "k=v"

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        name, separator, text = str(value).partition("=")
        if not (name and separator):
            self.fail(f"{value!r} is not of the form key=value", param, ctx)
        try:
            return name, text if self._plain else strict_json.loads(text)
        except strict_json.RepeatedNameError as error:
            self.fail(f"{name}: {error}", param, ctx)
        except ValueError:
            return name, text


@click.command()
@click.argument("provider", required=False, shell_complete=complete_provider)
@click.argument("operation", required=False, shell_complete=complete_operation)
@click.option("-p", "--param", "params", type=Pair(), multiple=True, help="A parameter; JSON or text. Repeatable.")
@click.option("-i", "--input", "inputs", type=Pair(plain=True), multiple=True, help="A picture: name=path or address.")
@click.option(
    "--request", "file", type=click.File(), metavar="FILE|-", help="A whole request; the options win over it."
)
@click.option("--account", help="The provider account to use.")
@click.option("--idempotency-key", metavar="KEY", help="Submitting twice with one key buys once.")
@click.option("--deadline", "deadline_seconds", type=float, metavar="SECONDS", help="The longest it may take.")
@click.option("--on-unknown", type=click.Choice(["hold", "resubmit"]), help="If a submit may or may not have arrived.")
@click.option("--priority", type=click.Choice(["interactive", "bulk"]), help="Bulk gives way to interactive.")
@click.option("--tenant", metavar="NAME", help="For whom it is: tenants take turns in line.")
@click.option("--retention-days", type=int, metavar="DAYS", help="The store removes its objects after so many days.")
@click.option("--prefix", "output_prefix", help="What the keys of the stored objects begin with.")
@click.option("--metadata", type=Pair(), multiple=True, help="Comes back with the result. Repeatable.")
@click.option("--callback-url", metavar="URL", help="Where the signed end of the job is posted.")
@click.option("--wait", "waiting", is_flag=True, help="Wait for the result and print its addresses.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the job's id, with --wait its whole result.")
@broker_option
def submit(broker: str | None, file: Any, waiting: bool, as_json: bool, **options: Any) -> None:
    """Submit a job and print its id."""
    from bide.providers import find  # noqa: PLC0415 - takes a while, and --help does not need it

    request = request_of(file, options)
    choose_request(broker, request)
    with connected(broker) as client:
        job_id = client.submit(request)
        for warning in find(request["provider"]).warnings(request["operation"], request.get("params") or {}):
            echo(f"warning: {warning}", err=True)
        if not as_json:
            echo(job_id)
        elif not waiting:
            echo_json({"job_id": job_id})
        if waiting:
            sys.stdout.flush()
            with ledger_at(broker) as ledger:
                _print_result(awaited(client, ledger, job_id), as_json=as_json)


@click.command()
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def status(job_id: str, as_json: bool, broker: str | None) -> None:
    """Say where a job stands."""
    ledger = choose_job(broker, job_id)
    with connected(broker) as client:
        found = client.status(job_id)
    if found is None:
        raise unknown(job_id)
    if as_json:
        _print_status(found, ledger)
    else:
        echo(*_status_lines(found, ledger))


@click.command()
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@click.option("--timeout", type=float, metavar="SECONDS", help="Give up waiting after this; the job goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
@broker_option
def wait(job_id: str, timeout: float | None, as_json: bool, broker: str | None) -> None:
    """Wait for a job and print where its objects lie."""
    choose_job(broker, job_id, aloud=True)
    with connected(broker) as client, ledger_at(broker) as ledger:
        if client.status(job_id) is None:
            raise unknown(job_id)
        _print_result(awaited(client, ledger, job_id, timeout_seconds=timeout), as_json=as_json)


@click.command()
@click.argument("job_id", metavar="JOB", shell_complete=complete_job)
@broker_option
def cancel(job_id: str, broker: str | None) -> None:
    """Cancel a job; what its provider has accepted stands and is charged."""
    choose_job(broker, job_id, aloud=True)
    with connected(broker) as client:
        found = client.status(job_id)
        if found is None:
            raise unknown(job_id)
        if found.state.final:
            raise click.ClickException(f"job {job_id} has ended already: {found.state}")
        client.cancel(job_id)
    echo(f"job {job_id} is to be canceled; it was {found.state}")


def request_of(file: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The request of the file; the options win over it."""
    if (provider := options["provider"]) and Path(provider).is_file():
        raise click.UsageError(f"{provider} is a file: give a request as --request {provider}")
    given = {name: value for name, value in options.items() if value not in (None, ())}
    request: dict[str, Any] = _read_json(file) if file else {}
    for name in ("params", "inputs", "metadata"):
        if name in given:
            if not isinstance(request.get(name) or {}, dict):
                raise click.UsageError(f"--request: {name} must be a JSON object")
            given[name] = {**(request.get(name) or {}), **dict(given[name])}
    if "inputs" in given:
        given["inputs"] = {name: _input(name, value) for name, value in given["inputs"].items()}
    request |= given
    for name in ("provider", "operation"):
        if not request.get(name):
            raise click.UsageError(f"{name.upper()} is missing; `bide providers` shows what there is")
    return request


def _read_json(file: Any) -> dict[str, Any]:
    try:
        request = strict_json.loads(file.read())
    except strict_json.RepeatedNameError as error:
        raise click.UsageError(f"--request: {error}") from None
    except ValueError as error:
        raise click.UsageError(f"--request: not JSON: {error}") from None
    if not isinstance(request, dict):
        raise click.UsageError("--request: must be one JSON object")
    return request


def _input(name: str, value: str) -> str | Path:
    tidy = tidied(value)
    if is_address(tidy) or tidy.startswith("data:"):
        return tidy
    if not (path := Path(value)).is_file():
        raise click.UsageError(
            f"--input {name}: there is no file {value}; an address begins with s3://, https:// or data:"
        )
    return path


def _print_result(result: JobResult, *, as_json: bool) -> None:
    if as_json:
        echo_json_text(result.model_dump_json(indent=2))
        return
    for output in result.outputs:
        echo(output.uri)


def _status_lines(found: Status, ledger: str = "") -> list[str]:
    rows = {
        "job": found.job_id,
        "ledger": ledger,
        "state": found.state,
        "what": found.what,
        "provider's id": found.provider_job_id,
        "polls": found.polls or None,
        "created": _moment(found.created_at),
        "deadline": _moment(found.deadline_at),
        "progress": found.progress,
        "cost": f"{found.cost.amount} {found.cost.unit}" if found.cost else None,
        "partial": found.partial,
        "note": found.note,
        "failure": failure_line(found.failure) if found.failure else None,
    }
    lines = [f"{name:14} {value}" for name, value in rows.items() if value]
    return [*lines, *(f"{'object':14} {uri}" for uri in found.outputs)]


def _print_status(found: Status, ledger: str) -> None:
    failure = found.failure.model_dump(mode="json") if found.failure else None
    cost = found.cost.model_dump() if found.cost else None
    tried = [each.model_dump(mode="json") for each in found.tried]
    fields = {**field(ledger), **asdict(found), "failure": failure, "cost": cost, "tried": tried}
    echo_json(fields, default=lambda value: value.isoformat())


def _moment(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else None


def unknown(job_id: str) -> click.ClickException:
    """The error for an id that has no record."""
    return click.ClickException(
        f"nothing is known of a job {job_id!r}: never submitted here, forgotten since, "
        "or sent as a message that no worker has taken yet"
    )
